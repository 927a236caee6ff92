/** Work that begins when its turn comes. */
export interface Waiting {
  begin(): void;
}

/** A call that holds a slot from its arrival to its answer. */
export interface Placed extends Waiting {
  /** Gives its slot to a connection that has fewer calls: answers that there are too many calls. */
  makeWay(): void;
}

export interface CallQueueOptions {
  /** Maximum number of calls that run or wait. Default: 2,048. */
  readonly maxCalls?: number;
  /** How long calls are begun before the event loop checks its sockets again, in ms. Default: 8. */
  readonly turnMs?: number;
  /** Monotonic clock, ms. Default: the system's. */
  readonly now?: () => number;
}

const MAX_BEGUN_TOGETHER = 16;

/**
 * Begins calls in turn, round robin by connection, so that one caller's burst does not hold up the others. Limits the
 * number of calls, and so memory and waiting time. This is the only place that sheds load.
 */
export class CallQueue {
  /** How many calls run or wait. */
  inFlight = 0;
  /** How many calls were refused a slot since the start. */
  refused = 0;
  readonly #maxCalls: number;
  readonly #turnMs: number;
  readonly #now: () => number;
  readonly #lines = new Set<Line>();
  /** Lines whose next call may begin, each once. */
  readonly #ready: Line[] = [];
  /** Undefined when no call has begun in this turn of the event loop, and none waits. */
  #turnEndsAt: number | undefined;
  #isTakingTurn = false;

  constructor({ maxCalls = 2_048, turnMs = 8, now = () => performance.now() }: CallQueueOptions = {}) {
    this.#maxCalls = maxCalls;
    this.#turnMs = turnMs;
    this.#now = now;
  }

  /**
   * Takes a slot for a call of a line; returns false when there is none. When all are taken, the line with the most
   * gives one to a line with fewer, so that no connection can keep others out.
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
      this.#lines.delete(line);
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

  /** Begins the next call of a line: at once, unless others wait or this turn of the event loop is used up. */
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

  /** Begins waiting calls, a few at a time, so that the work they start counts towards the turn as well. */
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
      // After the event loop has checked its sockets.
      setImmediate(this.#takeTurn);
    } else {
      this.#turnEndsAt = undefined;
    }
  };
}

/** The calls of one connection, in the order in which they came. */
export class Line {
  /** How many slots its calls hold. */
  places = 0;
  readonly #queue: CallQueue;
  readonly #maxBegun: number;
  readonly #waiting: Waiting[] = [];
  /** Calls with a slot that have not begun, whether or not their requests have arrived. */
  readonly #unbegun = new Map<Waiting, Placed>();
  #begun = 0;
  #isReady = false;

  /** @param maxBegun maximum number of running calls. Default: no separate limit. */
  constructor(queue: CallQueue, maxBegun = Infinity) {
    this.#queue = queue;
    this.#maxBegun = maxBegun;
  }

  /** Takes a slot for a call that has not begun; returns false when there is none. {@link leave} gives it back. */
  enter(call: Placed): boolean {
    if (!this.#queue.enter(this)) {
      return false;
    }
    this.places++;
    this.#unbegun.set(call, call);
    return true;
  }

  leave(call: Placed): void {
    this.places--;
    this.#unbegun.delete(call);
    this.#queue.leave(this);
  }

  /** For the queue: makes one of its calls give its slot to another line; returns false when all have begun. */
  makeWay(): boolean {
    const [call] = this.#unbegun.values();
    call?.makeWay();
    return call !== undefined;
  }

  /** Begins a call when its turn comes. The caller must call {@link done} once it is answered or its client has gone. */
  push(call: Waiting): void {
    this.#waiting.push(call);
    this.#schedule();
  }

  done(): void {
    this.#begun--;
    this.#schedule();
  }

  /** For the queue. */
  beginNext(): void {
    this.#isReady = false;
    const call = this.#waiting.shift();
    if (call !== undefined) {
      this.#begun++;
      this.#unbegun.delete(call);
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
