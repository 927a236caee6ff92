import { type ServerDuplexStream, status, type StatusObject } from "@grpc/grpc-js";

import { resetStream } from "./stream.ts";

/** How many may be open at once in the process. Tools need one, for seconds. */
const MAX_OPEN = 64;
/** How long one may last, in ms. */
const MAX_AGE_MS = 60_000;
/** How long a client may take to hear of the end, in ms. */
const GOODBYE_MS = 500;

export type ReflectionStream = ServerDuplexStream<unknown, unknown>;

/**
 * Bounds what streams of reflection may take. No deadline need be theirs, and @grpc/reflection answers each request as it
 * comes, whether or not anybody reads the answers.
 */
export class ReflectionStreams {
  readonly #open = new Set<ReflectionStream>();
  readonly #maxAgeMs: number;

  constructor(maxAgeMs: number = MAX_AGE_MS) {
    this.#maxAgeMs = maxAgeMs;
  }

  /**
   * Lets a stream be answered within the bounds, or refuses it.
   *
   * @param refusalOf asked at the beginning and after each request: why no more may be asked
   */
  admit(
    call: ReflectionStream,
    refusalOf: () => Partial<StatusObject> | undefined,
    answer: (call: ReflectionStream) => void,
  ): void {
    const refusal = refusalOf();
    if (refusal !== undefined) {
      refuse(call, refusal);
      return;
    }
    if (this.#open.size >= MAX_OPEN) {
      refuse(call, {
        code: status.RESOURCE_EXHAUSTED,
        details: "too many streams of reflection are open; try again later",
      });
      return;
    }
    this.#open.add(call);
    const tooOld = setTimeout(() => {
      refuse(call, { code: status.DEADLINE_EXCEEDED, details: "a stream of reflection may last a minute" });
    }, this.#maxAgeMs).unref();
    const forget = (): void => {
      clearTimeout(tooOld);
      this.#open.delete(call);
    };
    call.on("cancelled", forget);
    call.on("close", forget);
    call.on("finish", forget);
    answer(call);
    // After the answer to each request: while answers pile up, no more requests are read.
    call.on("data", () => {
      const reason = refusalOf();
      if (reason !== undefined) {
        // Nothing that comes after it is read.
        call.pause();
        refuse(call, reason);
      } else if (call.writableNeedDrain) {
        call.pause();
        call.once("drain", () => call.resume());
      }
    });
  }

  /** Ends all, which would hold up a drain. */
  endAll(): void {
    for (const call of this.#open) {
      refuse(call, { code: status.UNAVAILABLE, details: "the server is shutting down" });
    }
  }
}

/** Answers a stream with nothing more than this. */
function refuse(call: ReflectionStream, told: Partial<StatusObject>): void {
  call.emit("error", told);
  // Who does not end its own side, or does not read, would keep the connection open.
  setTimeout(() => resetStream(call), GOODBYE_MS).unref();
}
