import { SourceUnavailableError } from "../vehicle/errors.ts";
import { waitFor } from "../vehicle/wait-for.ts";
import type { Call } from "./call.ts";

export interface ConcurrencyLimitOptions {
  readonly maxRunning: number;
  /** How many calls may wait for their turn; further ones are refused at once. */
  readonly maxWaiting: number;
}

/** Limits how many calls run and how many wait. First come, first served. */
export class ConcurrencyLimit {
  readonly #options: ConcurrencyLimitOptions;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(options: ConcurrencyLimitOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Waits for a place, which must be returned with `leave`.
   *
   * @throws SourceUnavailableError when too many calls wait already; the reason of `signal` when aborted.
   */
  async enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#running < this.#options.maxRunning) {
      this.#running += 1;
      return;
    }
    if (this.#waiting.size >= this.#options.maxWaiting) {
      throw new SourceUnavailableError("too many requests wait for vPIC", { retryAfterMs: 10_000 });
    }
    const { promise: turn, resolve } = Promise.withResolvers<undefined>();
    const go = (): void => resolve(undefined);
    this.#waiting.add(go);
    try {
      await waitFor(turn, signal);
    } catch (error) {
      const isStillWaiting = this.#waiting.delete(go);
      if (!isStillWaiting) {
        this.leave();
      }
      throw error;
    }
  }

  /** Returns a place, which goes to the first call that waits. */
  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#running -= 1;
    } else {
      this.#waiting.delete(next);
      next();
    }
  }
}

/** Makes every call wait for a place and keep it until the call is over. */
export function withConcurrencyLimit<I>(limit: ConcurrencyLimit, call: Call<I>): Call<I> {
  return async (input, stop) => {
    await limit.enter(stop.whileWaiting);
    try {
      await call(input, stop);
    } finally {
      limit.leave();
    }
  };
}
