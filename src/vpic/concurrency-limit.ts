import { SourceUnavailableError } from "../vehicle/errors.ts";
import { waitFor } from "../vehicle/wait-for.ts";
import type { Call } from "./call.ts";

export interface ConcurrencyLimitOptions {
  readonly maxRunning: number;
  /** Maximum number of waiting calls; further ones are refused at once. */
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
   * Waits for a slot, which must be returned with `release`.
   *
   * @throws SourceUnavailableError when too many calls are waiting; the reason of `signal` when aborted.
   */
  async acquire(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#running < this.#options.maxRunning) {
      this.#running += 1;
      return;
    }
    if (this.#waiting.size >= this.#options.maxWaiting) {
      throw new SourceUnavailableError("too many requests are waiting for vPIC", { retryAfterMs: 10_000 });
    }
    const { promise: turn, resolve } = Promise.withResolvers<undefined>();
    const go = (): void => resolve(undefined);
    this.#waiting.add(go);
    try {
      await waitFor(turn, signal);
    } catch (error) {
      const isStillWaiting = this.#waiting.delete(go);
      if (!isStillWaiting) {
        this.release();
      }
      throw error;
    }
  }

  /** Returns a slot, which goes to the first waiting call. */
  release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#running -= 1;
    } else {
      this.#waiting.delete(next);
      next();
    }
  }
}

/** Makes every call wait for a slot, which it holds until it ends. */
export function withConcurrencyLimit<I>(limit: ConcurrencyLimit, call: Call<I>): Call<I> {
  return async (input, stop) => {
    await limit.acquire(stop.whileWaiting);
    try {
      await call(input, stop);
    } finally {
      limit.release();
    }
  };
}
