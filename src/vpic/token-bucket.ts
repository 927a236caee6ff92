import type { RequestBudget } from "./request-budget.ts";

export interface TokenBucketOptions {
  /** How many requests a second may be sent in the long run; a fraction is fine. */
  readonly requestsPerSecond: number;
  /** How many may be sent at once after a pause. In any `t` seconds at most `burst + t * requestsPerSecond` are sent. */
  readonly burst: number;
}

/** The longest pause; more is no politeness but a fault of a clock. */
const MAX_PAUSE_MS = 5 * 60_000;

/** A request budget of this process alone. First come, first served. */
export class TokenBucket implements RequestBudget {
  readonly #tokensPerMs: number;
  readonly #burst: number;
  readonly #waiting = new Set<() => void>();
  #tokens: number;
  /** When the tokens were counted, on the monotonic clock; in the future during a pause. */
  #countedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TokenBucketOptions) {
    this.#tokensPerMs = options.requestsPerSecond / 1_000;
    this.#burst = options.burst;
    this.#tokens = options.burst;
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
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const go = (): void => resolve(undefined);
    const stop = (): void => {
      this.#waiting.delete(go);
      this.#serve();
      reject(signal.reason);
    };
    this.#waiting.add(go);
    signal.addEventListener("abort", stop, { once: true });
    this.#serve();
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  pauseFor(durationMs: number): void {
    this.#count();
    const until = performance.now() + Math.min(durationMs, MAX_PAUSE_MS);
    this.#countedAt = Math.max(this.#countedAt, until);
    // After a pause vPIC is not met with a burst.
    this.#tokens = Math.min(this.#tokens, 1);
    this.#serve();
  }

  get #isPaused(): boolean {
    return this.#countedAt > performance.now();
  }

  /** Hands out what there is, and sets the timer for the next one who waits; there is none when nobody does. */
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
