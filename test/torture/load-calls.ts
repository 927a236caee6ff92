import { checkDigit } from "../../src/vehicle/check-digit.ts";
import { callHeaders, data, FrameReader, grpcMessage, headers, OPENING, windowUpdate } from "./http2-frames.ts";
import { RawConnection } from "./raw-connection.ts";
import { httpLookup, LOOKUP, LOOKUP_MESSAGE } from "./requests.ts";
import { CACHED_VIN } from "./target.ts";

/** How a call ended, and how long it took. */
export type OnEnd = (ms: number, isGood: boolean) => void;

/** A connection that makes Lookups, with frames made beforehand and answers that are only counted. */
export interface Caller {
  /** Whether another call may be made now. */
  readonly isReady: boolean;
  readonly isOpen: boolean;
  /** Looks up the cached vehicle, or one whose last six digits are these. */
  call(serial: number | undefined): void;
}

const STREAMS_PER_CONNECTION = 90;
const SERIAL_DIGITS = 6;
const STREAM_ID_AT = 5;
const DATA_FRAME = 0;
/** The flag of gRPC-Web's trailers, in the first byte of an envelope. */
const TRAILERS = 0x80;
/** HEADERS and DATA of a call, by listener. */
const HTTP2_CALLS = {
  gRPC: framesOf("application/grpc"),
  "HTTP/2": framesOf("application/grpc-web+proto"),
};
const HTTP_CALL = Buffer.from(httpLookup().toString("latin1").replace("Connection: close\r\n", ""), "latin1");

/** Many calls at once over HTTP/2: gRPC, or gRPC-Web. */
export class Http2Caller implements Caller {
  readonly #connection: RawConnection;
  readonly #frames: readonly [headers: Buffer, data: Buffer];
  readonly #onEnd: OnEnd;
  readonly #running = new Map<number, { readonly startedAt: number; hasAnswer: boolean }>();
  #nextStream = 1;

  private constructor(connection: RawConnection, frames: readonly [Buffer, Buffer], onEnd: OnEnd) {
    this.#connection = connection;
    this.#frames = frames;
    this.#onEnd = onEnd;
    const reader = new FrameReader((type, isEnd, stream, payload) => this.#take(type, isEnd, stream, payload));
    connection.tell((bytes) => reader.push(bytes));
  }

  /** @param ca PEM of who signed the service's certificate; without it, the connection is plain TCP */
  static async open(
    listener: keyof typeof HTTP2_CALLS,
    address: string,
    ca: string | undefined,
    onEnd: OnEnd,
  ): Promise<Http2Caller> {
    const tls = ca === undefined ? undefined : ({ ca, protocol: "h2" } as const);
    const connection = await RawConnection.open(address, undefined, tls);
    await connection.send(Buffer.concat([OPENING, windowUpdate(0, 2 ** 30)]));
    return new Http2Caller(connection, HTTP2_CALLS[listener], onEnd);
  }

  get isReady(): boolean {
    return this.#running.size < STREAMS_PER_CONNECTION && this.isOpen;
  }

  get isOpen(): boolean {
    return this.#connection.isOpen;
  }

  call(serial: number | undefined): void {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    const [head] = this.#frames;
    const bytes = withSerial(Buffer.concat(this.#frames), serial);
    bytes.writeUInt32BE(stream, STREAM_ID_AT);
    bytes.writeUInt32BE(stream, head.byteLength + STREAM_ID_AT);
    this.#running.set(stream, { startedAt: performance.now(), hasAnswer: false });
    this.#connection.socket.write(bytes);
  }

  #take(type: number, isEnd: boolean, stream: number, payload: Buffer): void {
    const call = this.#running.get(stream);
    if (call === undefined) {
      return;
    }
    // A failure has no message, but over gRPC-Web it may have trailers as DATA.
    call.hasAnswer ||= type === DATA_FRAME && payload.byteLength > 0 && ((payload[0] ?? 0) & TRAILERS) === 0;
    if (isEnd) {
      this.#running.delete(stream);
      this.#onEnd(performance.now() - call.startedAt, call.hasAnswer);
    }
  }
}

/** One call after the other over HTTP/1.1. */
export class Http1Caller implements Caller {
  readonly #connection: RawConnection;
  readonly #onEnd: OnEnd;
  #startedAt: number | undefined;
  #answer = "";

  private constructor(connection: RawConnection, onEnd: OnEnd) {
    this.#connection = connection;
    this.#onEnd = onEnd;
    connection.tell((bytes) => this.#take(bytes));
  }

  static async open(address: string, onEnd: OnEnd): Promise<Http1Caller> {
    return new Http1Caller(await RawConnection.open(address), onEnd);
  }

  get isReady(): boolean {
    return this.#startedAt === undefined && this.isOpen;
  }

  get isOpen(): boolean {
    return this.#connection.isOpen;
  }

  call(serial: number | undefined): void {
    this.#startedAt = performance.now();
    this.#connection.socket.write(withSerial(HTTP_CALL, serial));
  }

  #take(bytes: Buffer): void {
    this.#answer += bytes.toString("latin1");
    const [head = "", body] = this.#answer.split("\r\n\r\n");
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
    if (this.#startedAt === undefined || body === undefined || body.length < length) {
      return;
    }
    const ms = performance.now() - this.#startedAt;
    const isGood = this.#answer.startsWith("HTTP/1.1 200");
    this.#startedAt = undefined;
    this.#answer = "";
    this.#onEnd(ms, isGood);
  }
}

function framesOf(contentType: string): readonly [Buffer, Buffer] {
  return [
    headers(1, callHeaders(LOOKUP, undefined, undefined, contentType)),
    data(1, grpcMessage(LOOKUP_MESSAGE), true),
  ];
}

/** @param serial for another VIN of the same kind of vehicle, with its right check digit */
function withSerial(call: Buffer, serial: number | undefined): Buffer {
  const bytes = Buffer.from(call);
  if (serial !== undefined) {
    const digits = String(serial % 10 ** SERIAL_DIGITS).padStart(SERIAL_DIGITS, "0");
    const [front, back] = [CACHED_VIN.slice(0, 8), `${CACHED_VIN.slice(9, -SERIAL_DIGITS)}${digits}`];
    bytes.write(`${front}${checkDigit(`${front}0${back}`)}${back}`, call.lastIndexOf(CACHED_VIN), "latin1");
  }
  return bytes;
}
