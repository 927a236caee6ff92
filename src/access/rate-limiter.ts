export interface RateLimiterOptions {
  /** What a caller may do each second in the long run. */
  readonly perSecond: number;
  /** What a caller that was quiet may do at once; at least 1. */
  readonly burst: number;
  /** How many callers are told apart at once. Default: 10,000. */
  readonly maxCallers?: number;
  /** Monotonic clock, ms. Default: the system's. */
  readonly now?: () => number;
}

const SWEEP_EVERY_MS = 1_000;
/** Sums of fractions of a ms are not exact; this share of a unit may be missing. */
const ROUNDING = 0.001;

/**
 * A token bucket for each caller, in bounded memory.
 *
 * A bucket is kept as the moment at which it will be full again, so a full one needs no memory. When there are too many
 * that are not full, nobody's debt is forgotten: newcomers share one bucket until there is room. An attacker with many
 * addresses thus gains one bucket by filling the table, and takes nothing from those who are in it.
 */
export class RateLimiter {
  readonly #msPerUnit: number;
  readonly #burstMs: number;
  readonly #maxCallers: number;
  readonly #now: () => number;
  readonly #fullAt = new Map<string, number>();
  #newcomersFullAt = 0;
  #nextSweepAt = 0;

  constructor({ perSecond, burst, maxCallers = 10_000, now = () => performance.now() }: RateLimiterOptions) {
    this.#msPerUnit = 1_000 / perSecond;
    this.#burstMs = Math.max(1, burst) * this.#msPerUnit;
    this.#maxCallers = maxCallers;
    this.#now = now;
  }

  /** How many buckets are kept. */
  get size(): number {
    return this.#fullAt.size;
  }

  /**
   * Charges one unit, if the caller's bucket holds one.
   *
   * @returns how long until it does, in ms, when nothing was charged; 0 when it was
   */
  take(caller: string): number {
    const now = this.#now();
    const fullAt = this.#fullAtOf(caller, now);
    const waitMs = this.#waitMs(fullAt, now);
    if (waitMs === 0) {
      this.#set(caller, fullAt + this.#msPerUnit);
    }
    return waitMs;
  }

  /** Charges an admitted caller for more, even if that leaves its bucket in debt. */
  charge(caller: string, units: number): void {
    if (units > 0) {
      this.#set(caller, this.#fullAtOf(caller, this.#now()) + units * this.#msPerUnit);
    }
  }

  /** How long until a bucket holds a unit, in ms; 0 when it does. */
  #waitMs(fullAt: number, now: number): number {
    // What is missing from the bucket, less what it holds when full.
    const debtMs = fullAt - now - this.#burstMs;
    return debtMs > -this.#msPerUnit * (1 - ROUNDING) ? debtMs + this.#msPerUnit : 0;
  }

  #fullAtOf(caller: string, now: number): number {
    const fullAt = this.#fullAt.get(caller);
    if (fullAt !== undefined) {
      return Math.max(fullAt, now);
    }
    this.#makeRoom(now);
    return this.#fullAt.size < this.#maxCallers ? now : Math.max(this.#newcomersFullAt, now);
  }

  #set(caller: string, fullAt: number): void {
    if (this.#fullAt.size < this.#maxCallers || this.#fullAt.has(caller)) {
      this.#fullAt.set(caller, fullAt);
    } else {
      this.#newcomersFullAt = fullAt;
    }
  }

  #makeRoom(now: number): void {
    if (this.#fullAt.size < this.#maxCallers || now < this.#nextSweepAt) {
      return;
    }
    this.#nextSweepAt = now + SWEEP_EVERY_MS;
    for (const [caller, fullAt] of this.#fullAt) {
      if (fullAt <= now) {
        this.#fullAt.delete(caller);
      }
    }
  }
}
