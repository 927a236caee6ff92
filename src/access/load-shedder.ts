export interface LoadShedderOptions {
  /** How late the event loop may be, in ms, before calls are refused. Default: 5. */
  readonly maxLagMs?: number;
  /** How many calls are let in between two looks at the event loop, however late it is. Default: 8. */
  readonly alwaysAdmitted?: number;
  /** From 0 to 1. Default: Math.random. */
  readonly random?: () => number;
}

/** How long the event loop must be late without a break before the first call is refused. */
const PATIENCE_MS = 250;
/** By how much the share rises for each ms of lateness: from none to most within a third of a second. */
const RISE_PER_MS = 0.002;
/** By how much it falls for each look that finds the loop in time. */
const FALL = 0.02;
/** Refusing has its cost too: refusing more would answer fewer calls, and none of them sooner. */
const LARGEST_SHARE = 0.75;

/**
 * Refuses calls early when there are more than can be answered in time, so that those let in are.
 *
 * It looks at how late the event loop is. When it has been late for a quarter of a second without a break, and more came
 * in than a few calls, the share of refused calls rises; it falls in small steps when the loop is in time again. So a
 * single pause, such as a collection of garbage, refuses nobody, nor does a burst that is soon answered, nor a machine
 * that is slow for other reasons, which refusing would not help; and the share settles where the loop is just in time
 * instead of flapping between all and none.
 *
 * A call costs a comparison while nothing is refused. Refusing must cost a small part of answering, or nothing is won.
 */
export class LoadShedder {
  readonly #maxLagMs: number;
  readonly #alwaysAdmitted: number;
  readonly #random: () => number;
  #share = 0;
  #lateForMs = 0;
  #arrivals = 0;

  constructor({ maxLagMs = 5, alwaysAdmitted = 8, random = Math.random }: LoadShedderOptions = {}) {
    this.#maxLagMs = maxLagMs;
    this.#alwaysAdmitted = alwaysAdmitted;
    this.#random = random;
  }

  /** The share of calls that are refused now, from 0 to 0.75. */
  get refusedShare(): number {
    return this.#share;
  }

  /** Counts a call that comes, and says whether it is to be refused. */
  refuses(): boolean {
    this.#arrivals++;
    return this.#share > 0 && this.#arrivals > this.#alwaysAdmitted && this.#random() < this.#share;
  }

  /** Takes note of how late the event loop is, at regular times. */
  observe(lagMs: number): void {
    const isLate = lagMs > this.#maxLagMs && this.#arrivals > this.#alwaysAdmitted;
    const wasLate = this.#lateForMs > 0;
    this.#lateForMs = isLate ? this.#lateForMs + lagMs : 0;
    if (!isLate) {
      this.#share = Math.max(0, this.#share - FALL);
    } else if (this.#share > 0 || (wasLate && this.#lateForMs > PATIENCE_MS)) {
      this.#share = Math.min(LARGEST_SHARE, this.#share + RISE_PER_MS * lagMs);
    }
    this.#arrivals = 0;
  }
}
