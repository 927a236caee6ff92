import { gunzipSync, gzipSync } from "node:zlib";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { fromBinary, fromJsonString, isMessage, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { LookupResponseSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { encodeLookupResponse } from "../rpc/encode-lookup-response.ts";
import { GrowingBuffer } from "./growing-buffer.ts";

/** The size of a message's header, which has flags and a length. */
const HEAD_BYTES = 5;
const LENGTH_AT = 1;
const COMPRESSED = 1;

/** Smaller messages are not worth compressing. */
export const COMPRESS_MIN_BYTES = 1_024;

/** Options for reading the messages of a request. */
export interface ReadOptions {
  /** The largest message, as sent and after decompression, in bytes. */
  readonly maxBytes: number;
  /** Whether the request says that its messages may be compressed. */
  readonly isGzip: boolean;
  /** Whether messages are JSON. Default: they are binary. */
  readonly isJson?: boolean;
  /** The error code for a compressed message in a request without an encoding header. Default: INVALID_ARGUMENT. */
  readonly strayGzipCode?: Code;
}

/** A message as received. */
export interface Frame {
  readonly isCompressed: boolean;
  readonly bytes: Buffer;
}

/** Assembles the messages of one request from chunks. */
export interface MessageReader {
  /** The error of the first message that is not valid. Nothing is read after it. */
  readonly fault: ConnectError | undefined;
  /** Takes the next chunk and returns the messages that it completes. */
  read(chunk: Buffer): Frame[];
  /** Call this after the last chunk. Returns the message that ends there, if any. */
  end(): Frame[];
}

/** Reads a body that is a single message, such as that of a unary Connect request. */
export class BodyReader implements MessageReader {
  readonly #options: ReadOptions;
  readonly #body = new GrowingBuffer();
  fault: ConnectError | undefined;

  constructor(options: ReadOptions) {
    this.#options = options;
  }

  read(chunk: Buffer): Frame[] {
    if (this.fault === undefined) {
      const { maxBytes } = this.#options;
      this.#body.append(chunk);
      this.fault = this.#body.byteLength > maxBytes ? tooLongBody(maxBytes) : undefined;
    }
    return [];
  }

  end(): Frame[] {
    const { bytes } = this.#body;
    // An empty body is not decompressed, even if the request says that it is compressed.
    return this.fault === undefined ? [{ isCompressed: this.#options.isGzip && bytes.byteLength > 0, bytes }] : [];
  }
}

/** The error for a body that is larger than allowed and whose size is unknown. */
export function tooLongBody(maxBytes: number): ConnectError {
  return new ConnectError(`the request is larger than ${maxBytes} bytes`, Code.ResourceExhausted);
}

/** Reads messages that each have a header with flags and length. */
export class FrameReader implements MessageReader {
  readonly #options: ReadOptions;
  /** The received part of an incomplete message. */
  #begun: GrowingBuffer | undefined;
  fault: ConnectError | undefined;

  constructor(options: ReadOptions) {
    this.#options = options;
  }

  read(chunk: Buffer): Frame[] {
    const frames: Frame[] = [];
    if (this.fault !== undefined) {
      return frames;
    }
    this.#begun?.append(chunk);
    const bytes = this.#begun?.bytes ?? chunk;
    let at = 0;
    while (bytes.byteLength - at >= HEAD_BYTES) {
      this.fault = this.#findFault(bytes, at);
      const end = at + HEAD_BYTES + bytes.readUInt32BE(at + LENGTH_AT);
      if (this.fault !== undefined || bytes.byteLength < end) {
        break;
      }
      frames.push({ isCompressed: bytes[at] === COMPRESSED, bytes: bytes.subarray(at + HEAD_BYTES, end) });
      at = end;
    }
    if (frames.length > 0 || this.#begun === undefined) {
      this.#begun = at < bytes.byteLength ? new GrowingBuffer(bytes.subarray(at)) : undefined;
    }
    return frames;
  }

  end(): Frame[] {
    if (this.#begun !== undefined) {
      this.fault ??= new ConnectError("the request ends in the middle of a message", Code.InvalidArgument);
    }
    return [];
  }

  /** @param at where the message's header begins */
  #findFault(bytes: Buffer, at: number): ConnectError | undefined {
    const { maxBytes, isGzip, strayGzipCode = Code.InvalidArgument } = this.#options;
    const flags = bytes[at] ?? 0;
    if (flags > COMPRESSED) {
      return new ConnectError(`the message has unknown flags: ${flags}`, Code.InvalidArgument);
    }
    if (flags === COMPRESSED && !isGzip) {
      return new ConnectError(
        "the message is compressed, but the request has no header with its encoding",
        strayGzipCode,
      );
    }
    const length = bytes.readUInt32BE(at + LENGTH_AT);
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
  { maxBytes, isJson = false }: ReadOptions,
): MessageShape<Desc> {
  const plain = isCompressed ? gunzip(bytes, maxBytes) : bytes;
  if (isJson) {
    return parseJson(schema, plain);
  }
  try {
    return fromBinary(schema, plain);
  } catch {
    throw new ConnectError(`the request could not be parsed as ${schema.typeName}`, Code.InvalidArgument);
  }
}

const utf8 = new TextDecoder();

/** Rejects unknown fields and enum values by name. Ignoring them could do something that the client did not mean. */
function parseJson<Desc extends DescMessage>(schema: Desc, bytes: Buffer): MessageShape<Desc> {
  try {
    return fromJsonString(schema, utf8.decode(bytes), { ignoreUnknownFields: false });
  } catch (error) {
    throw ConnectError.from(error, Code.InvalidArgument);
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

/** Options for writing the messages of an answer. */
export interface WriteOptions {
  /** The largest message before compression, in bytes. */
  readonly maxBytes: number;
  /** Whether messages may be compressed. */
  readonly isGzip: boolean;
  /** Whether messages are JSON. Default: they are binary. */
  readonly isJson?: boolean;
}

/**
 * Serializes a message, to JSON or to bytes.
 *
 * @throws ConnectError RESOURCE_EXHAUSTED when it is too large
 */
export function serialize<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  { maxBytes, isJson = false }: WriteOptions,
): string | Uint8Array {
  const serialized = isJson ? toJsonString(schema, message) : toBytes(schema, message, 0);
  checkSize(Buffer.byteLength(serialized), maxBytes);
  return serialized;
}

/**
 * Encodes a message with its header.
 *
 * @throws ConnectError RESOURCE_EXHAUSTED when it is too large
 */
export function encodeMessage<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  { maxBytes, isGzip, isJson = false }: WriteOptions,
): Buffer {
  const plain = isJson ? withRoom(Buffer.from(toJsonString(schema, message))) : toBytes(schema, message, HEAD_BYTES);
  const size = plain.byteLength - HEAD_BYTES;
  checkSize(size, maxBytes);
  const mustCompress = isGzip && size >= COMPRESS_MIN_BYTES;
  const frame = mustCompress ? withRoom(gzipSync(plain.subarray(HEAD_BYTES))) : plain;
  frame[0] = mustCompress ? COMPRESSED : 0;
  frame.writeUInt32BE(frame.byteLength - HEAD_BYTES, LENGTH_AT);
  return frame;
}

/** Whether an encoded message is compressed. */
export function isCompressed(frame: Buffer): boolean {
  return frame[0] === COMPRESSED;
}

/** @param room number of bytes to leave free before the message: 0 or {@link HEAD_BYTES} */
function toBytes<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>, room: number): Buffer {
  if (isMessage(message, LookupResponseSchema)) {
    return encodeLookupResponse(message, room);
  }
  const { buffer, byteOffset, byteLength } = toBinary(schema, message);
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  return room === 0 ? bytes : withRoom(bytes);
}

/** Copies the bytes, with room for the header before them. */
function withRoom(bytes: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + bytes.byteLength);
  bytes.copy(frame, HEAD_BYTES);
  return frame;
}

function checkSize(bytes: number, maxBytes: number): void {
  if (bytes > maxBytes) {
    throw tooLarge("response", bytes, maxBytes);
  }
}

function tooLarge(what: "request" | "response", bytes: number, maxBytes: number): ConnectError {
  return new ConnectError(`the ${what} has ${bytes} bytes; at most ${maxBytes} are allowed`, Code.ResourceExhausted);
}
