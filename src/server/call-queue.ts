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
  readonly #maxCalls: number;
  readonly #turnMs: number;
  readonly #now: () => number;
  /** Lines whose calls hold slots. */
  readonly #holders = new Set<Line>();
  /** Lines whose next call may begin, each once. */
  readonly #ready: Line[] = [];
  #inFlight = 0;
  #refused = 0;
  /** Whether calls wait, or have begun in this turn of the event loop. */
  #isRunning = false;
  #isTakingTurn = false;
  #turnEndsAt = 0;

  readonly #endTurn = (): void => {
    this.#isRunning = this.#ready.length > 0;
    if (this.#isRunning) {
      // After the event loop has checked its sockets.
      setImmediate(this.#takeTurn);
    }
  };
  /** Begins waiting calls, a few at a time, so that the work they start counts towards the turn as well. */
  readonly #takeTurn = (): void => {
    this.#turnEndsAt = this.#now() + this.#turnMs;
    this.#isTakingTurn = true;
    let begun = 0;
    do {
      this.#ready.shift()?.beginNext();
      begun++;
    } while (begun < MAX_BEGUN_TOGETHER && this.#ready.length > 0 && this.#now() < this.#turnEndsAt);
    this.#isTakingTurn = false;
    this.#endTurn();
  };

  constructor({ maxCalls = 2_048, turnMs = 8, now = () => performance.now() }: CallQueueOptions = {}) {
    this.#maxCalls = maxCalls;
    this.#turnMs = turnMs;
    this.#now = now;
  }

  /** The number of calls that run or wait. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** The number of calls that were refused a slot since the start. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Takes a slot for a call of a connection; returns false when there is none. {@link leave} gives it back. When all
   * slots are taken, the connection with the most loses one to a connection with fewer, so that no connection can keep
   * others out.
   */
  enter(line: Line): boolean {
    if (this.#inFlight >= this.#maxCalls && !this.#takeFromFullest(line)) {
      this.#refused++;
      return false;
    }
    this.#inFlight++;
    this.#holders.add(line);
    return true;
  }

  /** Gives back the slot of a call. */
  leave(line: Line): void {
    this.#inFlight--;
    if (line.places === 0) {
      this.#holders.delete(line);
    }
  }

  /**
   * Called by a line that has become ready. Its call begins at once, unless other calls wait or the time for beginning
   * calls in this turn of the event loop is used up.
   */
  schedule(line: Line): void {
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#turnEndsAt = this.#now() + this.#turnMs;
      setImmediate(this.#endTurn);
    } else if (this.#isTakingTurn || this.#ready.length > 0 || this.#now() >= this.#turnEndsAt) {
      this.#ready.push(line);
      return;
    }
    line.beginNext();
  }

  #takeFromFullest(other: Line): boolean {
    let fullest = other;
    for (const line of this.#holders) {
      fullest = line.places > fullest.places ? line : fullest;
    }
    const hasTaken = fullest.places > other.places + 1 && fullest.makeWay();
    this.#refused += hasTaken ? 1 : 0;
    return hasTaken;
  }
}

/** The calls of one connection, in the order in which they came. */
export class Line {
  readonly #queue: CallQueue;
  readonly #maxBegun: number;
  readonly #waiting: Waiting[] = [];
  /** Calls with a slot that have not begun, whether or not their requests have arrived. */
  readonly #unbegun = new Map<Waiting, Placed>();
  #places = 0;
  #begun = 0;
  #isReady = false;

  /** @param maxBegun maximum number of running calls of this connection. Default: no separate limit. */
  constructor(queue: CallQueue, maxBegun = Infinity) {
    this.#queue = queue;
    this.#maxBegun = maxBegun;
  }

  /** The number of slots that its calls hold. */
  get places(): number {
    return this.#places;
  }

  /** Takes one of the queue's slots for a call that has not begun; returns false when there is none. */
  enter(call: Placed): boolean {
    if (!this.#queue.enter(this)) {
      return false;
    }
    this.#places++;
    this.#unbegun.set(call, call);
    return true;
  }

  /** Gives back the slot of a call. */
  leave(call: Placed): void {
    this.#places--;
    this.#unbegun.delete(call);
    this.#queue.leave(this);
  }

  /** For the queue: makes one of its calls give its slot to another connection; returns false when all have begun. */
  makeWay(): boolean {
    for (const call of this.#unbegun.values()) {
      call.makeWay();
      return true;
    }
    return false;
  }

  /** Begins a call when its turn comes. The caller must call {@link done} once it is answered. */
  push(call: Waiting): void {
    this.#waiting.push(call);
    this.#schedule();
  }

  /** Call this when a running call is answered or its client has gone. */
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
