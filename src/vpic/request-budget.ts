import type { RequestRate } from "../vehicle/fleet.ts";
import { waitFor } from "../vehicle/wait-for.ts";
import type { Call } from "./call.ts";
import { VpicError } from "./vpic-error.ts";

/** Limits the rate of requests to vPIC: every request, retries included, takes one token. */
export interface RequestBudget {
  /** Waits until a request may be sent. When aborted, takes nothing and rejects with the signal's reason. */
  take(signal: AbortSignal): Promise<void>;
  /** Allows no request for this time, because vPIC asked for a pause. */
  pauseFor(durationMs: number): void;
  /** The number of requests that may be sent right now. */
  readonly available: number;
  /** The number of requests waiting to be sent. */
  readonly waiting: number;
}

/** The longest pause. A longer one means that a clock is wrong. */
export const MAX_PAUSE_MS = 5 * 60_000;

/** The request budget of this process alone. First come, first served. */
export class TokenBucket implements RequestBudget {
  readonly #tokensPerMs: number;
  readonly #burst: number;
  readonly #waiting = new Set<() => void>();
  #tokens: number;
  /** When the tokens were counted, on the monotonic clock; in the future during a pause. */
  #countedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;

  /** The rate may be a fraction. */
  constructor({ requestsPerSecond, burst }: RequestRate) {
    this.#tokensPerMs = requestsPerSecond / 1_000;
    this.#burst = burst;
    this.#tokens = burst;
  }

  get available(): number {
    this.#count();
    return this.#isPaused ? 0 : Math.floor(this.#tokens);
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  async take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise: turn, resolve } = Promise.withResolvers<undefined>();
    const go = (): void => resolve(undefined);
    this.#waiting.add(go);
    this.#serve();
    try {
      await waitFor(turn, signal);
    } catch (error) {
      const isStillWaiting = this.#waiting.delete(go);
      this.#tokens += isStillWaiting ? 0 : 1;
      this.#serve();
      throw error;
    }
  }

  pauseFor(durationMs: number): void {
    this.#count();
    const until = performance.now() + Math.min(durationMs, MAX_PAUSE_MS);
    this.#countedAt = Math.max(this.#countedAt, until);
    // No burst right after a pause.
    this.#tokens = Math.min(this.#tokens, 1);
    this.#serve();
  }

  get #isPaused(): boolean {
    return this.#countedAt > performance.now();
  }

  /** Hands out the available tokens, and sets the timer for the next waiting request, if any. */
  #serve(): void {
    clearTimeout(this.#timer);
    this.#count();
    for (const go of this.#waiting) {
      if (this.#isPaused || this.#tokens < 1) {
        const untilNextMs = this.#countedAt - performance.now() + (1 - this.#tokens) / this.#tokensPerMs;
        this.#timer = setTimeout(() => this.#serve(), Math.max(1, Math.ceil(untilNextMs)));
        return;
      }
      this.#tokens -= 1;
      this.#waiting.delete(go);
      go();
    }
  }

  #count(): void {
    const now = performance.now();
    if (now > this.#countedAt) {
      this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#countedAt) * this.#tokensPerMs);
      this.#countedAt = now;
    }
  }
}

/** Takes a token for every call just before it is made. An answer with a `Retry-After` pauses the budget. */
export function withRequestBudget<I>(budget: RequestBudget, call: Call<I>): Call<I> {
  return async (input, stop) => {
    await budget.take(stop.whileWaiting);
    try {
      await call(input, stop);
    } catch (error) {
      if (error instanceof VpicError && error.retryAfterMs !== undefined) {
        budget.pauseFor(error.retryAfterMs);
      }
      throw error;
    }
  };
}
