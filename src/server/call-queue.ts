import { Roster, type Seated } from "./roster.ts";

/** The calls of one connection, as the queue sees them. */
export interface QueuedLine extends Seated {
  /** The number of slots that its calls hold. */
  readonly slots: number;
  /** The number of these calls that have not begun. */
  readonly spareSlots: number;
  /** Starts its next calls, a few at most. Returns how many. */
  beginSome(): number;
  /** Refuses its next call that has no slot. */
  refuseOne(): void;
  /** Refuses one of its calls that have not begun, and frees its slot. There must be one. */
  makeWay(): void;
}

export interface CallQueueOptions {
  /** Maximum number of calls that run or wait. Default: 2,048. */
  readonly maxCalls?: number | undefined;
  /** How long the queue starts and refuses calls before the event loop checks its sockets, in ms. Default: 8. */
  readonly turnMs?: number | undefined;
  /** Monotonic clock, ms. Default: the system's. */
  readonly now?: () => number;
}

/**
 * When this many calls have been started and refused, the event loop checks its sockets before the next ones. Most of
 * the work of a call runs after that, where the clock does not see it: 48 new VINs take about 8 ms. With fewer, each
 * would cost more, because calls that begin together are looked up and stored together.
 */
const MAX_TOGETHER = 48;
/** Calls that begin for each refusal while both wait. */
const BEGINNINGS_PER_REFUSAL = 8;

/**
 * Starts calls round robin by connection, so that a burst from one caller does not delay the others. Limits the number
 * of calls, which limits memory and waiting time. This is the only place that sheds load.
 *
 * Refusals take turns as well: clients replace refused calls at once, and reading the new ones would leave no time for
 * the calls that have a slot.
 */
export class CallQueue {
  /** The number of calls with a slot. Their requests arrive, they wait to begin, or they run. */
  inFlight = 0;
  /** The number of calls that got no slot, or lost theirs, since the start. */
  refused = 0;
  readonly #maxCalls: number;
  readonly #turnMs: number;
  readonly #now: () => number;
  /** Lines whose calls hold slots. */
  readonly #lines = new Roster<QueuedLine>();
  /** Lines with calls to start. Each is listed once. */
  readonly #beginning: QueuedLine[] = [];
  /** Lines with calls to refuse. Each is listed once. */
  readonly #refusing: QueuedLine[] = [];
  #begunSinceRefusal = 0;
  /**
   * Stays in the past while lines wait, so that new ones wait behind them. Undefined when none waits, and nothing has
   * been started or refused since the event loop checked its sockets.
   */
  #turnEndsAt: number | undefined;

  constructor({ maxCalls = 2_048, turnMs = 8, now = () => performance.now() }: CallQueueOptions = {}) {
    this.#maxCalls = maxCalls;
    this.#turnMs = turnMs;
    this.#now = now;
  }

  /**
   * Takes a slot for a call of a line. Returns false when there is none. When all slots are taken, the line with the
   * most slots, of those with calls that have not begun, gives one to a line with at least two fewer. So no connection
   * can block the others.
   */
  enter(line: QueuedLine): boolean {
    if (this.inFlight >= this.#maxCalls) {
      this.refused++;
      if (!this.#takeFromFullest(line)) {
        return false;
      }
    }
    this.inFlight++;
    this.#lines.add(line);
    return true;
  }

  leave(line: QueuedLine): void {
    this.inFlight--;
    if (line.slots === 0) {
      this.#lines.remove(line);
    }
  }

  #takeFromFullest(other: QueuedLine): boolean {
    const fullest = this.#lines.greatest(slotsIfSpare);
    if (fullest === undefined || fullest.slots <= other.slots + 1) {
      return false;
    }
    fullest.makeWay();
    return true;
  }

  /** Starts the next calls of a line: now, unless others wait or the time for this turn of the event loop is used up. */
  scheduleBeginning(line: QueuedLine): void {
    if (this.#mustWait()) {
      this.#beginning.push(line);
    } else {
      line.beginSome();
    }
  }

  /** The same for the next refusal of a line. */
  scheduleRefusal(line: QueuedLine): void {
    if (this.#mustWait()) {
      this.#refusing.push(line);
    } else {
      line.refuseOne();
    }
  }

  #mustWait(): boolean {
    if (this.#turnEndsAt === undefined) {
      this.#turnEndsAt = this.#now() + this.#turnMs;
      setImmediate(this.#endTurns);
      return false;
    }
    return this.#now() >= this.#turnEndsAt;
  }

  get #hasWaiting(): boolean {
    return this.#beginning.length > 0 || this.#refusing.length > 0;
  }

  /** Starts and refuses waiting calls until the time or {@link MAX_TOGETHER} is used up. */
  readonly #takeTurns = (): void => {
    const endsAt = this.#now() + this.#turnMs;
    let taken = 0;
    do {
      taken += this.#takeNext();
    } while (taken < MAX_TOGETHER && this.#hasWaiting && this.#now() < endsAt);
    this.#endTurns();
  };

  /** Returns how many calls were started or refused. */
  #takeNext(): number {
    const isRefusalDue = this.#begunSinceRefusal >= BEGINNINGS_PER_REFUSAL || this.#beginning.length === 0;
    if (isRefusalDue && this.#refusing.length > 0) {
      this.#begunSinceRefusal = 0;
      this.#refusing.shift()?.refuseOne();
      return 1;
    }
    const begun = this.#beginning.shift()?.beginSome() ?? 0;
    this.#begunSinceRefusal += begun;
    return begun;
  }

  readonly #endTurns = (): void => {
    if (this.#hasWaiting) {
      // Continues after the event loop has checked its sockets.
      setImmediate(this.#takeTurns);
    } else {
      this.#turnEndsAt = undefined;
    }
  };
}

function slotsIfSpare({ slots, spareSlots }: QueuedLine): number {
  return spareSlots > 0 ? slots : -Infinity;
}
