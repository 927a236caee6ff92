import { CallQueue } from "./call-queue.ts";

export interface LoadShedderOptions {
  /** Where calls wait under overload. */
  readonly queue?: Pick<CallQueue, "isFull" | "offer">;
  /** Told when refusing begins, and when it ends. */
  readonly onChange?: (isShedding: boolean) => void;
}

/** How late a look at the event loop must be to count as late, in ms. */
const LATE_MS = 20;
/** How many calls have to come between two looks for them to be the reason. */
const FEW_CALLS = 8;
/** How long the event loop must be late without a break before the first call is refused. */
const PATIENCE_MS = 250;
/** Looks at the event loop in which the share is counted, and after which overload ends if nobody was refused: 1 s. */
const LOOKS_PER_PERIOD = 50;

/**
 * Refuses calls early when there are more than can be answered in time, so that those let in are.
 *
 * Whether there are too many shows in how late the event loop is. When it has been late for a quarter of a second
 * without a break, and calls came meanwhile, overload begins; so a single pause, such as a collection of garbage,
 * refuses nobody, nor does a burst that is soon answered, nor a machine that is slow for other reasons.
 *
 * From then on calls wait in a short queue, and those for which it has no room are refused at once. Nobody has to be
 * guessed at, neither how much a call costs nor how many will come. After a second in which nobody was refused for
 * want of room the overload is over.
 *
 * Refusing must cost a small part of answering, or little is won.
 */
export class LoadShedder {
  readonly #queue: Pick<CallQueue, "isFull" | "offer">;
  readonly #onChange: (isShedding: boolean) => void;
  #isShedding = false;
  #lateForMs = 0;
  #calls = 0;
  #looks = 0;
  #callsInPeriod = 0;
  #refusedInPeriod = 0;
  #crowdedOutInPeriod = 0;
  #refusedShare = 0;

  constructor({ queue = new CallQueue(), onChange = () => {} }: LoadShedderOptions = {}) {
    this.#queue = queue;
    this.#onChange = onChange;
  }

  /** The share of calls that was refused within the latest second, from 0 to 1. */
  get refusedShare(): number {
    return this.#refusedShare;
  }

  /**
   * Begins a call, at once or, under overload, in its turn; false when it is to be refused.
   *
   * @param isWelcome asked under overload, if there is a place in the queue: whether the call may take it
   */
  admits(begin: () => void, isWelcome: () => boolean): boolean {
    this.#calls++;
    if (!this.#isShedding) {
      begin();
      return true;
    }
    if (!this.#queue.isFull && !isWelcome()) {
      this.#refusedInPeriod++;
      return false;
    }
    if (!this.#queue.offer(begin)) {
      this.#refusedInPeriod++;
      this.#crowdedOutInPeriod++;
      return false;
    }
    return true;
  }

  /** Takes note of how late the event loop is, every 20 ms. */
  observe(lagMs: number): void {
    const isLate = lagMs > LATE_MS && this.#calls > FEW_CALLS;
    const wasLate = this.#lateForMs > 0;
    this.#lateForMs = isLate ? this.#lateForMs + lagMs : 0;
    this.#callsInPeriod += this.#calls;
    this.#calls = 0;
    if (!this.#isShedding && wasLate && this.#lateForMs > PATIENCE_MS) {
      this.#change(true);
    } else if (++this.#looks >= LOOKS_PER_PERIOD) {
      this.#endPeriod();
    }
  }

  #endPeriod(): void {
    this.#refusedShare = this.#refusedInPeriod / Math.max(1, this.#callsInPeriod);
    if (this.#isShedding && this.#crowdedOutInPeriod === 0 && this.#areStrangersFew()) {
      this.#change(false);
    }
    this.#startPeriod();
  }

  /** They alone, refused for who they are, must not keep an overload alive; unless there are so many that they are one. */
  #areStrangersFew(): boolean {
    return this.#refusedInPeriod <= FEW_CALLS * LOOKS_PER_PERIOD;
  }

  #change(isShedding: boolean): void {
    this.#isShedding = isShedding;
    this.#lateForMs = 0;
    this.#startPeriod();
    this.#onChange(isShedding);
  }

  #startPeriod(): void {
    this.#looks = 0;
    this.#callsInPeriod = 0;
    this.#refusedInPeriod = 0;
    this.#crowdedOutInPeriod = 0;
  }
}
