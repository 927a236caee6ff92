export interface RateLimiterOptions {
  /** Sustained rate, in units per second. */
  readonly perSecond: number;
  /** Burst size, in units; at least 1. */
  readonly burst: number;
  /** Maximum number of callers with their own bucket. Default: 10,000. */
  readonly maxCallers?: number;
  /** Monotonic clock, ms. Default: the system's. */
  readonly now?: () => number;
  /** Whether charges are collected for {@link RateLimiter.takeCharges}. Default: no. */
  readonly isShared?: boolean;
}

const SWEEP_EVERY_MS = 1_000;
/** Tolerance, in units, for rounding errors in sums of fractions of a ms. */
const ROUNDING = 0.001;

/**
 * A token bucket for each caller, in bounded memory.
 *
 * A bucket is stored as the time at which it will be full again, so a full bucket needs no memory. When the table is
 * full, existing buckets stay, and new callers share one bucket until there is room. An attacker who fills the table
 * from many addresses gains only that one bucket, and callers already in the table lose nothing.
 */
export class RateLimiter {
  readonly #msPerUnit: number;
  readonly #burstMs: number;
  readonly #maxCallers: number;
  readonly #now: () => number;
  readonly #fullAt = new Map<string, number>();
  /** Units charged here since the last {@link takeCharges}. */
  readonly #charged: Map<string, number> | undefined;
  #newcomersFullAt = 0;
  #nextSweepAt = 0;

  constructor({
    perSecond,
    burst,
    maxCallers = 10_000,
    now = () => performance.now(),
    isShared = false,
  }: RateLimiterOptions) {
    this.#msPerUnit = 1_000 / perSecond;
    this.#burstMs = Math.max(1, burst) * this.#msPerUnit;
    this.#maxCallers = maxCallers;
    this.#now = now;
    this.#charged = isShared ? new Map() : undefined;
  }

  /** How many buckets are kept. */
  get size(): number {
    return this.#fullAt.size;
  }

  /**
   * Charges one unit, if the caller's bucket holds one.
   *
   * @returns 0 when the unit was charged; otherwise how long until the bucket holds one, in ms
   */
  take(caller: string): number {
    const now = this.#now();
    const fullAt = this.#fullAtOf(caller, now);
    const waitMs = this.#waitMs(fullAt, now);
    if (waitMs === 0) {
      this.#set(caller, fullAt + this.#msPerUnit);
      this.#collect(caller, 1);
    }
    return waitMs;
  }

  /** Charges an admitted caller for further units, even if that leaves its bucket in debt. */
  charge(caller: string, units: number): void {
    if (units > 0) {
      this.chargeFromElsewhere(caller, units);
      this.#collect(caller, units);
    }
  }

  /** Charges what another process has granted. */
  chargeFromElsewhere(caller: string, units: number): void {
    this.#set(caller, this.#fullAtOf(caller, this.#now()) + units * this.#msPerUnit);
  }

  /** Returns the charges since the last call, for the other processes. */
  takeCharges(): [caller: string, units: number][] {
    const charges = Array.from(this.#charged ?? []);
    this.#charged?.clear();
    return charges;
  }

  /** Memory is bounded: callers that do not fit are limited in each process separately. */
  #collect(caller: string, units: number): void {
    const charged = this.#charged;
    if (charged === undefined) {
      return;
    }
    const before = charged.get(caller);
    if (before !== undefined || charged.size < this.#maxCallers) {
      charged.set(caller, (before ?? 0) + units);
    }
  }

  /** How long until a bucket holds a unit, in ms; 0 when it does. */
  #waitMs(fullAt: number, now: number): number {
    // The time until the bucket is full, minus the time that an empty one takes.
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
