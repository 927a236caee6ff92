import { Roster, type Seated } from "./roster.ts";

/** The calls of one connection, as the queue sees them. */
export interface QueuedLine extends Seated {
  /** The number of slots that its calls hold. */
  readonly slots: number;
  /** Starts its next calls, a few at most, and refuses one without a slot. */
  takeTurn(): void;
  /** Refuses one of its calls that has not begun, and frees its slot. Returns false when all have begun. */
  makeWay(): boolean;
}

export interface CallQueueOptions {
  /** Maximum number of calls that run or wait. Default: 2,048. */
  readonly maxCalls?: number | undefined;
  /** How long lines take turns before the event loop checks its sockets, in ms. Default: 8. */
  readonly turnMs?: number | undefined;
  /** Monotonic clock, ms. Default: the system's. */
  readonly now?: () => number;
}

/**
 * Maximum number of lines that take a turn before the event loop checks its sockets. Most of the work of a call runs
 * after that, where the clock does not see it: 48 new VINs take about 8 ms.
 */
const MAX_LINES_TOGETHER = 6;

/**
 * Starts and refuses calls round robin by connection, so that a burst from one caller does not delay the others. Limits
 * the number of calls, which limits memory and waiting time. This is the only place that sheds load.
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
  /** Lines that wait for a turn. Each is listed once. */
  readonly #waiting: QueuedLine[] = [];
  /**
   * Stays in the past while lines wait, so that new ones wait behind them. Undefined when none waits, and none has
   * taken a turn since the event loop checked its sockets.
   */
  #turnEndsAt: number | undefined;

  constructor({ maxCalls = 2_048, turnMs = 8, now = () => performance.now() }: CallQueueOptions = {}) {
    this.#maxCalls = maxCalls;
    this.#turnMs = turnMs;
    this.#now = now;
  }

  /**
   * Takes a slot for a call of a line. Returns false when there is none. When all slots are taken, the line with the
   * most slots gives one to a line with at least two fewer, unless all its calls have begun. So no connection can block
   * the others.
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
    const fullest = this.#lines.greatest(slotsOf);
    return fullest !== undefined && fullest.slots > other.slots + 1 && fullest.makeWay();
  }

  /** Lets a line take a turn: now, unless others wait or the time before the next check of the sockets is used up. */
  schedule(line: QueuedLine): void {
    if (this.#turnEndsAt === undefined) {
      this.#turnEndsAt = this.#now() + this.#turnMs;
      setImmediate(this.#endTurns);
    } else if (this.#now() >= this.#turnEndsAt) {
      this.#waiting.push(line);
      return;
    }
    line.takeTurn();
  }

  readonly #takeTurns = (): void => {
    const endsAt = this.#now() + this.#turnMs;
    let taken = 0;
    do {
      this.#waiting.shift()?.takeTurn();
      taken++;
    } while (taken < MAX_LINES_TOGETHER && this.#waiting.length > 0 && this.#now() < endsAt);
    this.#endTurns();
  };

  readonly #endTurns = (): void => {
    if (this.#waiting.length > 0) {
      // Continues after the event loop has checked its sockets.
      setImmediate(this.#takeTurns);
    } else {
      this.#turnEndsAt = undefined;
    }
  };
}

function slotsOf(line: QueuedLine): number {
  return line.slots;
}
