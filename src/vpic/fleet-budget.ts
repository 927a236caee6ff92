import type { Fleet, RequestRate } from "../vehicle/fleet.ts";
import { sleep, waitFor } from "../vehicle/wait-for.ts";
import { MAX_PAUSE_MS, type RequestBudget, TokenBucket } from "./request-budget.ts";

/**
 * The request budget of all processes that share a cache. First come, first served within this process. Without the
 * database, this process uses its share of the budget, without a burst. A pause applies to this process only.
 */
export class FleetBudget implements RequestBudget {
  readonly #fleet: Pick<Fleet, "takeRequest" | "drainBudget" | "size">;
  readonly #rate: RequestRate;
  /** Settles when all earlier requests have their tokens or were aborted. */
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  #available: number;
  #pausedUntil = -Infinity;
  #wasPaused = false;
  /**
   * The budget that this process uses without the database. Kept when the database is back, because it may fail again.
   */
  #share: { readonly size: number; readonly bucket: TokenBucket } | undefined;

  constructor(fleet: Pick<Fleet, "takeRequest" | "drainBudget" | "size">, rate: RequestRate) {
    this.#fleet = fleet;
    this.#rate = rate;
    this.#available = Math.floor(rate.burst);
  }

  /** As of the last request. */
  get available(): number {
    return this.#pausedUntil > performance.now() ? 0 : this.#available;
  }

  get waiting(): number {
    return this.#waiting;
  }

  async take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const before = this.#last;
    const { promise: done, resolve } = Promise.withResolvers<void>();
    this.#last = before.then(() => done);
    this.#waiting++;
    try {
      await waitFor(before, signal);
      while (!(await this.#tryToTake(signal))) {
        signal.throwIfAborted();
      }
    } finally {
      this.#waiting--;
      resolve();
    }
  }

  pauseFor(durationMs: number): void {
    const until = performance.now() + Math.min(durationMs, MAX_PAUSE_MS);
    this.#pausedUntil = Math.max(this.#pausedUntil, until);
    this.#wasPaused = true;
  }

  /** Tries to take a token. If that fails, waits until another try may succeed. */
  async #tryToTake(signal: AbortSignal): Promise<boolean> {
    const pauseMs = this.#pausedUntil - performance.now();
    if (pauseMs > 0) {
      await sleep(pauseMs, signal);
      return false;
    }
    if (this.#wasPaused) {
      this.#wasPaused = false;
      await this.#fleet.drainBudget(this.#rate);
    }
    let left: number;
    try {
      left = await this.#fleet.takeRequest(this.#rate);
    } catch {
      await this.#takeFromShare(signal);
      return true;
    }
    this.#available = Math.max(0, left);
    if (left < 0) {
      await sleep(-left, signal);
    }
    return left >= 0;
  }

  async #takeFromShare(signal: AbortSignal): Promise<void> {
    const { size } = this.#fleet;
    if (this.#share?.size !== size) {
      const requestsPerSecond = this.#rate.requestsPerSecond / size;
      this.#share = { size, bucket: new TokenBucket({ requestsPerSecond, burst: 1 }) };
    }
    const { bucket } = this.#share;
    await bucket.take(signal);
    this.#available = bucket.available;
  }
}
