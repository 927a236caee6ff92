import type { Call } from "./stop.ts";
import { SourceUnavailableError } from "../vehicle/errors.ts";

export interface ConcurrencyLimitOptions {
  readonly maxRunning: number;
  /** How many may wait for their turn; further ones are refused at once. */
  readonly maxWaiting: number;
}

/** Lets so many calls run at once, and so many wait, first come first served. */
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
   * Waits for a place, which must be given back with `leave`.
   *
   * @throws SourceUnavailableError when too many wait already; the reason of `signal` when aborted.
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
    await this.#wait(signal);
  }

  /** Gives a place back; the first who waits has it. */
  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#running -= 1;
    } else {
      this.#waiting.delete(next);
      next();
    }
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const go = (): void => resolve(undefined);
    const stop = (): void => {
      this.#waiting.delete(go);
      reject(signal.reason);
    };
    this.#waiting.add(go);
    signal.addEventListener("abort", stop, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }
}

/** Makes every call wait for a place and hold it until it is done. */
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
