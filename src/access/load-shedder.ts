import { OverloadedError } from "./errors.ts";

export interface LoadShedderOptions {
  /** How late the event loop may be, in ms, before calls are refused. Default: 10. */
  readonly maxLagMs?: number;
  /** How many calls are let in between two looks at the event loop, however late it is. Default: 50. */
  readonly alwaysAdmitted?: number;
  /** How many calls may be under way at once, whatever they wait for. Default: 10,000. */
  readonly maxCalls?: number;
  /** From 0 to 1. Default: Math.random. */
  readonly random?: () => number;
}

const RISE = 0.1;
const FALL = 0.02;
const LARGEST_SHARE = 0.95;
const RETRY_AFTER_MS = 1_000;

/**
 * Refuses calls early when there are more than can be answered in time, so that those let in are.
 *
 * It looks at how late the event loop is. When it is late twice running, and more came in than a few calls, the share
 * of refused calls rises step by step; it falls in smaller steps when the loop is in time again. So a single pause, such
 * as a collection of garbage, refuses nobody; nor does a machine that is slow for other reasons, which refusing would
 * not help; and the share settles where the loop is just in time instead of flapping between all and none.
 *
 * A call costs two comparisons while nothing is refused.
 */
export class LoadShedder {
  readonly #maxLagMs: number;
  readonly #alwaysAdmitted: number;
  readonly #maxCalls: number;
  readonly #random: () => number;
  #share = 0;
  #wasLate = false;
  #arrivals = 0;
  #calls = 0;

  constructor({
    maxLagMs = 10,
    alwaysAdmitted = 50,
    maxCalls = 10_000,
    random = Math.random,
  }: LoadShedderOptions = {}) {
    this.#maxLagMs = maxLagMs;
    this.#alwaysAdmitted = alwaysAdmitted;
    this.#maxCalls = maxCalls;
    this.#random = random;
  }

  /** The share of calls that are refused now, from 0 to 0.95. */
  get refusedShare(): number {
    return this.#share;
  }

  /** How many calls are under way. */
  get calls(): number {
    return this.#calls;
  }

  /**
   * Lets a call in; {@link leave} must be called at its end.
   *
   * @throws OverloadedError when it is refused; it has then not come in
   */
  enter(): void {
    this.#arrivals++;
    const isShed = this.#share > 0 && this.#arrivals > this.#alwaysAdmitted && this.#random() < this.#share;
    if (isShed || this.#calls >= this.#maxCalls) {
      // Spread over a while, or all come back at once.
      throw new OverloadedError(RETRY_AFTER_MS * (0.5 + this.#random()));
    }
    this.#calls++;
  }

  /** A call that was let in has ended. */
  leave(): void {
    this.#calls--;
  }

  /** Takes note of how late the event loop is, at regular times. */
  observe(lagMs: number): void {
    const isLate = lagMs > this.#maxLagMs && this.#arrivals > this.#alwaysAdmitted;
    if (!isLate) {
      this.#share = Math.max(0, this.#share - FALL);
    } else if (this.#wasLate) {
      this.#share = Math.min(LARGEST_SHARE, this.#share + RISE);
    }
    this.#wasLate = isLate;
    this.#arrivals = 0;
  }
}
