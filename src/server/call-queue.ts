import { Roster, type Seated } from "./roster.ts";

/** Work that waits for its turn. */
export interface Waiting {
  begin(): void;
}

/** A call that holds a slot from its arrival to its answer. */
export interface Placed extends Waiting, Seated {
  /** Whether it has had its turn. From then on it keeps its slot. */
  readonly hasBegun: boolean;
  /** Gives up its slot to a connection that has fewer calls. It is refused when its turn comes. */
  makeWay(): void;
}

export interface CallQueueOptions {
  /** Maximum number of calls that run or wait. Default: 2,048. */
  readonly maxCalls?: number | undefined;
  /** How long the queue starts calls before it lets the event loop check its sockets, in ms. Default: 8. */
  readonly turnMs?: number | undefined;
  /** Monotonic clock, ms. Default: the system's. */
  readonly now?: () => number;
}

const MAX_BEGUN_TOGETHER = 16;

/**
 * Starts calls round robin by connection, so that a burst from one caller does not delay the others. Limits the number
 * of calls, which limits memory and waiting time. This is the only place that sheds load.
 */
export class CallQueue {
  /** The number of calls that run or wait. */
  inFlight = 0;
  /** The number of calls that were refused a slot since the start. */
  refused = 0;
  readonly #maxCalls: number;
  readonly #turnMs: number;
  readonly #now: () => number;
  readonly #lines = new Roster<Line>();
  /** Lines whose next call may begin. Each line is listed once. */
  readonly #ready: Line[] = [];
  /** Undefined when no call waits and none has begun in this turn of the event loop. */
  #turnEndsAt: number | undefined;
  #isTakingTurn = false;

  constructor({ maxCalls = 2_048, turnMs = 8, now = () => performance.now() }: CallQueueOptions = {}) {
    this.#maxCalls = maxCalls;
    this.#turnMs = turnMs;
    this.#now = now;
  }

  /**
   * Takes a slot for a call of a line. Returns false when there is none. When all slots are taken, the line with the
   * most slots gives one to a line with fewer, so that no connection can block the others.
   */
  enter(line: Line): boolean {
    if (this.inFlight >= this.#maxCalls && !this.#takeFromFullest(line)) {
      this.refused++;
      return false;
    }
    this.inFlight++;
    this.#lines.add(line);
    return true;
  }

  leave(line: Line): void {
    this.inFlight--;
    if (line.places === 0) {
      this.#lines.remove(line);
    }
  }

  #takeFromFullest(other: Line): boolean {
    let fullest = other;
    for (const line of this.#lines) {
      fullest = line.places > fullest.places ? line : fullest;
    }
    const hasTaken = fullest.places > other.places + 1 && fullest.makeWay();
    this.refused += hasTaken ? 1 : 0;
    return hasTaken;
  }

  /** Starts the next call of a line now, unless others wait or the time for this turn of the event loop is used up. */
  schedule(line: Line): void {
    if (this.#turnEndsAt === undefined) {
      this.#turnEndsAt = this.#now() + this.#turnMs;
      setImmediate(this.#endTurn);
    } else if (this.#isTakingTurn || this.#ready.length > 0 || this.#now() >= this.#turnEndsAt) {
      this.#ready.push(line);
      return;
    }
    line.beginNext();
  }

  /** Starts waiting calls a few at a time, so that the work that they trigger counts towards the turn too. */
  readonly #takeTurn = (): void => {
    const endsAt = this.#now() + this.#turnMs;
    this.#turnEndsAt = endsAt;
    this.#isTakingTurn = true;
    let begun = 0;
    do {
      this.#ready.shift()?.beginNext();
      begun++;
    } while (begun < MAX_BEGUN_TOGETHER && this.#ready.length > 0 && this.#now() < endsAt);
    this.#isTakingTurn = false;
    this.#endTurn();
  };

  readonly #endTurn = (): void => {
    if (this.#ready.length > 0) {
      // Continues after the event loop has checked its sockets.
      setImmediate(this.#takeTurn);
    } else {
      this.#turnEndsAt = undefined;
    }
  };
}

/** The calls of one connection, in the order of their arrival. */
export class Line implements Seated {
  /** Written by the queue. */
  seat = -1;
  readonly #queue: CallQueue;
  readonly #maxBegun: number;
  readonly #waiting: Waiting[] = [];
  /** Calls that have a slot. Their requests may still be arriving. */
  readonly #placed = new Roster<Placed>();
  #begun = 0;
  #isReady = false;

  /** @param maxBegun maximum number of running calls. Default: no separate limit. */
  constructor(queue: CallQueue, maxBegun = Infinity) {
    this.#queue = queue;
    this.#maxBegun = maxBegun;
  }

  /** The number of slots that its calls hold. */
  get places(): number {
    return this.#placed.size;
  }

  /** Takes a slot for a call that has not begun. Returns false when there is none. {@link leave} returns the slot. */
  enter(call: Placed): boolean {
    const hasRoom = this.#queue.enter(this);
    if (hasRoom) {
      this.#placed.add(call);
    }
    return hasRoom;
  }

  /** Without effect for a call that has no slot. */
  leave(call: Placed): void {
    if (call.seat >= 0) {
      this.#placed.remove(call);
      this.#queue.leave(this);
    }
  }

  /** Called by the queue: makes one of its calls give up its slot. Returns false when all of them have begun. */
  makeWay(): boolean {
    for (const call of this.#placed) {
      if (!call.hasBegun) {
        call.makeWay();
        return true;
      }
    }
    return false;
  }

  /** Starts a call when its turn comes. Call {@link done} once it is answered or its client has gone. */
  push(call: Waiting): void {
    this.#waiting.push(call);
    this.#schedule();
  }

  done(): void {
    this.#begun--;
    this.#schedule();
  }

  /** Called by the queue. */
  beginNext(): void {
    this.#isReady = false;
    const call = this.#waiting.shift();
    if (call !== undefined) {
      this.#begun++;
      call.begin();
    }
    this.#schedule();
  }

  #schedule(): void {
    if (!this.#isReady && this.#waiting.length > 0 && this.#begun < this.#maxBegun) {
      this.#isReady = true;
      this.#queue.schedule(this);
    }
  }
}
