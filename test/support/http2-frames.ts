/** The connection preface of an HTTP/2 client (RFC 9113, 3.4). */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

const END_STREAM = 0x1;
const ACK = 0x1;
const END_HEADERS = 0x4;
const FRAME_HEAD_BYTES = 9;
const SHORT_MAX = 127;

/** Frame types (RFC 9113, 6). */
export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** A frame of any type, valid or not. */
export function h2Frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUIntBE(payload.byteLength, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** The preface and empty SETTINGS. */
export const OPENING = Buffer.concat([PREFACE, h2Frame(FrameType.settings, 0, 0)]);

/** SETTINGS with these values by their numbers (RFC 9113, 6.5.2). */
export function settings(values: Readonly<Record<number, number>> = {}): Buffer {
  const payloads = Object.entries(values).map(([id, value]) => {
    const payload = Buffer.alloc(6);
    payload.writeUInt16BE(Number(id));
    payload.writeUInt32BE(value, 2);
    return payload;
  });
  return h2Frame(FrameType.settings, 0, 0, Buffer.concat(payloads));
}

export function ping(): Buffer {
  return h2Frame(FrameType.ping, 0, 0, Buffer.alloc(8));
}

/** A new weight for a stream; no stream needs to exist. */
export function priority(stream: number): Buffer {
  return h2Frame(FrameType.priority, 0, stream, Buffer.from([0, 0, 0, 0, 16]));
}

export function resetStream(stream: number): Buffer {
  const cancel = 8;
  return h2Frame(FrameType.resetStream, 0, stream, Buffer.from([0, 0, 0, cancel]));
}

/** Allows more bytes. Stream 0 means the whole connection. */
export function windowUpdate(stream: number, increment: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(increment);
  return h2Frame(FrameType.windowUpdate, 0, stream, payload);
}

export function data(stream: number, payload: Uint8Array, isLast: boolean): Buffer {
  return h2Frame(FrameType.data, isLast ? END_STREAM : 0, stream, payload);
}

/** @param isLast whether no DATA follows */
export function headers(stream: number, block: Uint8Array, isLast = false): Buffer {
  return h2Frame(FrameType.headers, END_HEADERS | (isLast ? END_STREAM : 0), stream, block);
}

/** HEADERS that CONTINUATION must follow. */
export function openHeaders(stream: number, block: Uint8Array): Buffer {
  return h2Frame(FrameType.headers, 0, stream, block);
}

/** CONTINUATION that is not the last one. */
export function continuation(stream: number, block: Uint8Array): Buffer {
  return h2Frame(FrameType.continuation, 0, stream, block);
}

/** A header that does not use HPACK's tables (RFC 7541, 6.2.2). Strings are sent byte for byte. */
export function literal(name: string, value: string | Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([0]), hpackString(name), hpackString(value)]);
}

/** A header that goes into HPACK's dynamic table (RFC 7541, 6.2.1); its index is 62 when it is the latest. */
export function remembered(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x40]), hpackString(name), hpackString(value)]);
}

/** A header from the tables by its index, below 127. */
export function indexed(index: number): Buffer {
  return Buffer.from([0x80 | index]);
}

/** The headers of a call, over gRPC unless the type is another. */
export function callHeaders(
  path: string,
  authority: string | Uint8Array = "localhost",
  timeout = "2S",
  contentType = "application/grpc",
): Buffer {
  return Buffer.concat([
    literal(":method", "POST"),
    literal(":scheme", "http"),
    literal(":path", path),
    literal(":authority", authority),
    literal("te", "trailers"),
    literal("content-type", contentType),
    literal("grpc-timeout", timeout),
  ]);
}

/** A message in gRPC's envelope. */
export function grpcMessage(message: Uint8Array, isCompressed = false): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(isCompressed ? 1 : 0, 0);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

/** The acknowledgement that a SETTINGS or PING frame asks for; undefined for any other frame. */
export function acknowledgementOf(type: number, flags: number, payload: Buffer): Buffer | undefined {
  const isAcknowledgement = (flags & ACK) !== 0;
  if (isAcknowledgement || (type !== FrameType.settings && type !== FrameType.ping)) {
    return undefined;
  }
  return h2Frame(type, ACK, 0, type === FrameType.ping ? payload : undefined);
}

/** @param isEnd whether it ends its stream */
type OnFrame = (type: number, isEnd: boolean, stream: number, payload: Buffer, flags: number) => void;

/** Splits the bytes of a server into frames. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);
  readonly #onFrame: OnFrame;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  push(bytes: Buffer): void {
    let rest = this.#rest.byteLength === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (rest.byteLength >= FRAME_HEAD_BYTES) {
      const end = FRAME_HEAD_BYTES + rest.readUIntBE(0, 3);
      if (rest.byteLength < end) {
        break;
      }
      const type = rest.readUInt8(3);
      const canEnd = type === FrameType.data || type === FrameType.headers;
      const flags = rest.readUInt8(4);
      const isEnd = canEnd && (flags & END_STREAM) !== 0;
      this.#onFrame(type, isEnd, rest.readUInt32BE(5) & 0x7fffffff, rest.subarray(FRAME_HEAD_BYTES, end), flags);
      rest = rest.subarray(end);
    }
    this.#rest = rest;
  }
}

function hpackString(text: string | Uint8Array): Buffer {
  const bytes = typeof text === "string" ? Buffer.from(text, "latin1") : Buffer.from(text);
  return Buffer.concat([hpackLength(bytes.byteLength), bytes]);
}

function hpackLength(length: number): Buffer {
  if (length < SHORT_MAX) {
    return Buffer.from([length]);
  }
  const bytes = [SHORT_MAX];
  for (let left = length - SHORT_MAX; ; left = Math.floor(left / 128)) {
    if (left < 128) {
      bytes.push(left);
      return Buffer.from(bytes);
    }
    bytes.push((left % 128) | 0x80);
  }
}
