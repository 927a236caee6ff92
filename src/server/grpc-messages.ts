import { gunzipSync, gzipSync } from "node:zlib";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { GrowingBuffer } from "./growing-buffer.ts";

/** The head of a message on the wire: flags, and the length of the rest. */
const HEAD_BYTES = 5;
const LENGTH_AT = 1;
const COMPRESSED = 1;

/** Smaller messages are not worth compressing. */
const COMPRESS_MIN_BYTES = 1_024;

/** How the messages of a request are read. */
export interface ReadOptions {
  /** The largest message, as sent and after decompression, in bytes. */
  readonly maxBytes: number;
  /** Whether the request says that its messages may be compressed. */
  readonly isGzip: boolean;
}

/** A message as it came. */
export interface Frame {
  readonly isCompressed: boolean;
  readonly bytes: Buffer;
}

/** Puts the messages of one request together from the chunks in which they come. */
export class FrameReader {
  readonly #options: ReadOptions;
  /** The beginning of a message whose rest is not here. */
  readonly #begun = new GrowingBuffer();
  #fault: ConnectError | undefined;

  constructor(options: ReadOptions) {
    this.#options = options;
  }

  /** Whether a part of a message is here, and the rest is not. */
  get isInside(): boolean {
    return this.#begun.byteLength > 0;
  }

  /** What is wrong with the message after those that were given; nothing is read any more then. */
  get fault(): ConnectError | undefined {
    return this.#fault;
  }

  /** Takes the next chunk, and gives the messages that are whole now. */
  read(chunk: Buffer): Frame[] {
    const frames: Frame[] = [];
    if (this.#fault !== undefined) {
      return frames;
    }
    let rest = chunk;
    if (this.isInside) {
      this.#begun.append(chunk);
      rest = this.#begun.bytes;
    }
    while (rest.byteLength >= HEAD_BYTES) {
      this.#fault = this.#findFault(rest);
      const size = HEAD_BYTES + rest.readUInt32BE(LENGTH_AT);
      if (this.#fault !== undefined || rest.byteLength < size) {
        break;
      }
      frames.push({ isCompressed: rest[0] === COMPRESSED, bytes: rest.subarray(HEAD_BYTES, size) });
      rest = rest.subarray(size);
    }
    if (frames.length > 0 || !this.isInside) {
      this.#begun.clear();
      if (rest.byteLength > 0) {
        this.#begun.append(rest);
      }
    }
    return frames;
  }

  #findFault(head: Buffer): ConnectError | undefined {
    const { maxBytes, isGzip } = this.#options;
    const flags = head[0] ?? 0;
    if (flags > COMPRESSED) {
      return new ConnectError(`the message has unknown flags: ${flags}`, Code.InvalidArgument);
    }
    if (flags === COMPRESSED && !isGzip) {
      // As the specification of gRPC asks for.
      return new ConnectError("the message is compressed, but grpc-encoding does not say how", Code.Internal);
    }
    const length = head.readUInt32BE(LENGTH_AT);
    return length > maxBytes ? tooLarge("request", length, maxBytes) : undefined;
  }
}

/**
 * Decodes a message.
 *
 * @throws ConnectError RESOURCE_EXHAUSTED when it is too large after decompression, INVALID_ARGUMENT when it is malformed
 */
export function decodeMessage<Desc extends DescMessage>(
  schema: Desc,
  { isCompressed, bytes }: Frame,
  { maxBytes }: ReadOptions,
): MessageShape<Desc> {
  const plain = isCompressed ? gunzip(bytes, maxBytes) : bytes;
  try {
    return fromBinary(schema, plain);
  } catch {
    throw new ConnectError(`the request could not be parsed as ${schema.typeName}`, Code.InvalidArgument);
  }
}

function gunzip(bytes: Buffer, maxBytes: number): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    throw error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE"
      ? new ConnectError(`the request is larger than ${maxBytes} bytes when decompressed`, Code.ResourceExhausted)
      : new ConnectError("the request could not be decompressed", Code.InvalidArgument);
  }
}

/** How the messages of an answer are written. */
export interface WriteOptions {
  /** The largest message before compression, in bytes. */
  readonly maxBytes: number;
  /** Whether messages may be compressed. */
  readonly isGzip: boolean;
}

/**
 * Encodes a message with its head.
 *
 * @throws ConnectError RESOURCE_EXHAUSTED when it is too large
 */
export function encodeMessage<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  { maxBytes, isGzip }: WriteOptions,
): Buffer {
  const plain = toBinary(schema, message);
  if (plain.byteLength > maxBytes) {
    throw tooLarge("response", plain.byteLength, maxBytes);
  }
  const isCompressed = isGzip && plain.byteLength >= COMPRESS_MIN_BYTES;
  const bytes = isCompressed ? gzipSync(plain) : plain;
  const frame = Buffer.allocUnsafe(HEAD_BYTES + bytes.byteLength);
  frame[0] = isCompressed ? COMPRESSED : 0;
  frame.writeUInt32BE(bytes.byteLength, LENGTH_AT);
  frame.set(bytes, HEAD_BYTES);
  return frame;
}

function tooLarge(what: "request" | "response", bytes: number, maxBytes: number): ConnectError {
  return new ConnectError(`the ${what} has ${bytes} bytes; at most ${maxBytes} are allowed`, Code.ResourceExhausted);
}
