/** Loads the service as cheaply as can be: takes one LoadOrder after the other, and answers each with LoadResults. */
import { setTimeout as pause } from "node:timers/promises";
import { checkDigit } from "../../src/vehicle/check-digit.ts";
import {
  callHeaders,
  data,
  FrameReader,
  grpcMessage,
  headers,
  OPENING,
  windowUpdate,
} from "../support/http2-frames.ts";
import { RawConnection } from "../support/raw-connection.ts";
import type { LoadOrder, LoadResults } from "./load.ts";
import { CACHED_VIN, LOOKUP, LOOKUP_MESSAGE } from "./requests.ts";

const MAX_STREAMS = 100;
const SERIAL_DIGITS = 6;
const STREAM_ID_AT = 5;
const DATA_FRAME = 0;
const TICK_MS = 1;
/** Until the calls that are on their way have been answered. */
const REST_MS = 2_000;

const HEAD = headers(1, callHeaders(LOOKUP, "localhost", "10S"));
const CALL = Buffer.concat([HEAD, data(1, grpcMessage(LOOKUP_MESSAGE), true)]);

/** A connection that makes Lookups, with frames made beforehand and answers that are only counted. */
class Caller {
  readonly #connection: RawConnection;
  readonly #onEnd: (ms: number, isGood: boolean) => void;
  readonly #running = new Map<number, { readonly startedAt: number; hasAnswer: boolean }>();
  #nextStream = 1;

  private constructor(connection: RawConnection, onEnd: (ms: number, isGood: boolean) => void) {
    this.#connection = connection;
    this.#onEnd = onEnd;
    const frames = new FrameReader((type, isEnd, stream) => this.#take(type, isEnd, stream));
    connection.tell((bytes) => frames.push(bytes));
  }

  static async open(address: string, onEnd: (ms: number, isGood: boolean) => void): Promise<Caller> {
    const connection = await RawConnection.open(address);
    await connection.send(Buffer.concat([OPENING, windowUpdate(0, 2 ** 30)]));
    return new Caller(connection, onEnd);
  }

  get isReady(): boolean {
    return this.#running.size < MAX_STREAMS && this.#connection.isOpen;
  }

  get running(): number {
    return this.#running.size;
  }

  /** @param serial for another VIN of the same kind of vehicle, with its right check digit */
  call(serial: number | undefined): void {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    const bytes = Buffer.from(CALL);
    bytes.writeUInt32BE(stream, STREAM_ID_AT);
    bytes.writeUInt32BE(stream, HEAD.byteLength + STREAM_ID_AT);
    if (serial !== undefined) {
      const digits = String(serial % 10 ** SERIAL_DIGITS).padStart(SERIAL_DIGITS, "0");
      const [front, back] = [CACHED_VIN.slice(0, 8), `${CACHED_VIN.slice(9, -SERIAL_DIGITS)}${digits}`];
      bytes.write(`${front}${checkDigit(`${front}0${back}`)}${back}`, bytes.lastIndexOf(CACHED_VIN), "latin1");
    }
    this.#running.set(stream, { startedAt: performance.now(), hasAnswer: false });
    this.#connection.socket.write(bytes);
  }

  #take(type: number, isEnd: boolean, stream: number): void {
    const call = this.#running.get(stream);
    if (call === undefined) {
      return;
    }
    call.hasAnswer ||= type === DATA_FRAME;
    if (isEnd) {
      this.#running.delete(stream);
      this.#onEnd(performance.now() - call.startedAt, call.hasAnswer);
    }
  }
}

let callers: Caller[] = [];
let results = nothing();
let onAnswer: () => void = ignore;
let serial = 0;
let next = 0;

process.on("message", (order: LoadOrder) => {
  void obey(order).then((told) => process.send?.(told));
});
process.send?.("ready");

async function obey(order: LoadOrder): Promise<LoadResults> {
  const onEnd = (ms: number, isGood: boolean): void => {
    if (isGood) {
      results.goodMs.push(ms);
    } else {
      results.refused++;
    }
    onAnswer();
  };
  while (callers.length < order.connections) {
    callers.push(await Caller.open(order.address, onEnd));
  }
  results = nothing();
  await (order.kind === "closed" ? callAgain(order) : callOnTime(order));
  const told = results;
  results = nothing();
  const end = performance.now() + REST_MS;
  while (callers.some(({ running }) => running > 0) && performance.now() < end) {
    await pause(TICK_MS);
  }
  return told;
}

/** So many calls at once, each followed by another. */
async function callAgain({ atOnce, seconds, isCached }: LoadOrder & { readonly kind: "closed" }): Promise<void> {
  onAnswer = () => call(isCached);
  for (let index = 0; index < atOnce; index++) {
    call(isCached);
  }
  await pause(seconds * 1_000);
  onAnswer = ignore;
}

/** So many calls a second, whatever becomes of them. */
async function callOnTime({ perSecond, seconds, isCached }: LoadOrder & { readonly kind: "open" }): Promise<void> {
  const startedAt = performance.now();
  let sent = 0;
  for (let now = startedAt; now < startedAt + seconds * 1_000; now = performance.now()) {
    for (const due = ((now - startedAt) / 1_000) * perSecond; sent < due; sent++) {
      call(isCached);
    }
    await pause(TICK_MS);
  }
}

/** By the next connection that is free; by none when all are full. */
function call(isCached: boolean): void {
  for (let tried = 0; tried < callers.length; tried++) {
    const caller = callers[next++ % callers.length];
    if (caller?.isReady === true) {
      caller.call(isCached ? undefined : serial++);
      return;
    }
  }
}

function nothing(): LoadResults {
  return { goodMs: [], refused: 0 };
}

function ignore(): void {}
