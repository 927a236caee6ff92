import { acknowledgementOf, FrameReader, FrameType, OPENING, windowUpdate } from "../../support/http2-frames.ts";
import { RawConnection } from "../../support/raw-connection.ts";
import { ResponseReader } from "./response-reader.ts";
import type { Target } from "./load.ts";

export type Ending = "good" | "refused" | "lost";

/** Called when a call ends. */
type OnEnd = (ending: Ending, ms: number) => void;

/** A connection that sends prepared calls and looks only at how they end. */
export interface Connection {
  /** The number of calls that have not ended. */
  readonly running: number;
  /** False once either side has closed it. */
  readonly isOpen: boolean;
  /**
   * @param bytes a whole call, which the connection may change
   * @param dueAt when the call was due, on the monotonic clock
   */
  call(bytes: Buffer, dueAt: number): void;
  /** Sends all calls that `work` makes in one write. */
  together(work: () => void): void;
  /** Closes it; calls that have not ended are lost. */
  close(): void;
}

export async function openConnection(target: Target, onEnd: OnEnd): Promise<Connection> {
  const protocol = target.protocol === "Connect" ? "http/1.1" : "h2";
  const tls = target.ca === undefined ? undefined : ({ ca: target.ca, protocol } as const);
  const raw = await RawConnection.open(target.address, undefined, tls);
  return target.protocol === "Connect" ? new Http1Connection(raw, onEnd) : new Http2Connection(raw, onEnd);
}

const FRAME_HEAD_BYTES = 9;
const STREAM_ID_AT = 5;
/** More than any load reads on a connection. */
const WINDOW = 2 ** 30;
/** This bit of an envelope's first byte marks gRPC-Web's trailers. */
const TRAILERS_FLAG = 0x80;

interface Http2Call {
  readonly dueAt: number;
  hasAnswer: boolean;
}

/** gRPC and gRPC-Web. A call is good when a message came before its end: headers stay compressed, so no status is read. */
class Http2Connection implements Connection {
  readonly #raw: RawConnection;
  readonly #onEnd: OnEnd;
  readonly #calls = new Map<number, Http2Call>();
  #nextStream = 1;

  constructor(raw: RawConnection, onEnd: OnEnd) {
    this.#raw = raw;
    this.#onEnd = onEnd;
    const reader = new FrameReader((...frame) => this.#take(...frame));
    raw.tell((bytes) => this.together(() => reader.push(bytes)));
    raw.socket.on("close", () => this.#loseAll());
    raw.socket.write(Buffer.concat([OPENING, windowUpdate(0, WINDOW)]));
  }

  get running(): number {
    return this.#calls.size;
  }

  get isOpen(): boolean {
    return this.#raw.isOpen;
  }

  call(bytes: Buffer, dueAt: number): void {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    const dataAt = FRAME_HEAD_BYTES + bytes.readUIntBE(0, 3);
    bytes.writeUInt32BE(stream, STREAM_ID_AT);
    bytes.writeUInt32BE(stream, dataAt + STREAM_ID_AT);
    this.#calls.set(stream, { dueAt, hasAnswer: false });
    this.#raw.socket.write(bytes);
  }

  together(work: () => void): void {
    sendTogether(this.#raw, work);
  }

  close(): void {
    this.#raw[Symbol.dispose]();
  }

  #take(type: number, isEnd: boolean, stream: number, payload: Buffer, flags: number): void {
    const acknowledgement = acknowledgementOf(type, flags, payload);
    if (acknowledgement !== undefined) {
      this.#raw.socket.write(acknowledgement);
      return;
    }
    const call = this.#calls.get(stream);
    if (call === undefined) {
      return;
    }
    const isMessage = type === FrameType.data && ((payload[0] ?? TRAILERS_FLAG) & TRAILERS_FLAG) === 0;
    call.hasAnswer ||= isMessage;
    if (isEnd || type === FrameType.resetStream) {
      this.#calls.delete(stream);
      const ending = isEnd ? (call.hasAnswer ? "good" : "refused") : "lost";
      this.#onEnd(ending, performance.now() - call.dueAt);
    }
  }

  #loseAll(): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const { dueAt } of calls) {
      this.#onEnd("lost", performance.now() - dueAt);
    }
  }
}

/** Connect over HTTP/1.1. Calls that are made while others run are pipelined. */
class Http1Connection implements Connection {
  readonly #raw: RawConnection;
  readonly #onEnd: OnEnd;
  /** When the running calls were due, in the order of their answers. */
  #dueAt: number[] = [];

  constructor(raw: RawConnection, onEnd: OnEnd) {
    this.#raw = raw;
    this.#onEnd = onEnd;
    const reader = new ResponseReader((status) => this.#take(status));
    raw.tell((bytes) => this.together(() => reader.push(bytes)));
    raw.socket.on("close", () => this.#loseAll());
  }

  get running(): number {
    return this.#dueAt.length;
  }

  get isOpen(): boolean {
    return this.#raw.isOpen;
  }

  call(bytes: Buffer, dueAt: number): void {
    this.#dueAt.push(dueAt);
    this.#raw.socket.write(bytes);
  }

  together(work: () => void): void {
    sendTogether(this.#raw, work);
  }

  close(): void {
    this.#raw[Symbol.dispose]();
  }

  #take(status: number): void {
    const dueAt = this.#dueAt.shift();
    if (dueAt !== undefined) {
      this.#onEnd(status === 200 ? "good" : "refused", performance.now() - dueAt);
    }
  }

  #loseAll(): void {
    const calls = this.#dueAt;
    this.#dueAt = [];
    for (const dueAt of calls) {
      this.#onEnd("lost", performance.now() - dueAt);
    }
  }
}

function sendTogether({ socket }: RawConnection, work: () => void): void {
  socket.cork();
  work();
  socket.uncork();
}
