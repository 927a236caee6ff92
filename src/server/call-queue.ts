/** Something that begins when its turn comes. */
export interface Waiting {
  begin(): void;
}

/** A call that holds a place from its arrival to its answer. */
export interface Placed extends Waiting {
  /** Answers that there are too many calls: another connection, which has fewer, needs the place. */
  makeWay(): void;
}

export interface CallQueueOptions {
  /** How many calls may be begun and unanswered, or waiting. Default: 2,048. */
  readonly maxCalls?: number;
  /** How long calls are begun before the event loop looks at its sockets again, in ms. Default: 8. */
  readonly turnMs?: number;
  /** Monotonic clock, ms. Default: the system's. */
  readonly now?: () => number;
}

const MAX_BEGUN_TOGETHER = 16;

/**
 * Begins calls in turn, round robin by connection, so that no caller's burst stops the others; and bounds how many there
 * are, so that memory and waiting time stay bounded. Nothing else sheds load.
 */
export class CallQueue {
  readonly #maxCalls: number;
  readonly #turnMs: number;
  readonly #now: () => number;
  /** Lines whose calls hold places. */
  readonly #holders = new Set<Line>();
  /** Lines whose next call may begin, each once. */
  readonly #ready: Line[] = [];
  #inFlight = 0;
  #refused = 0;
  /** Whether calls have begun in this turn of the event loop, or wait. */
  #isRunning = false;
  #isTakingTurn = false;
  #turnEndsAt = 0;

  readonly #endTurn = (): void => {
    this.#isRunning = this.#ready.length > 0;
    if (this.#isRunning) {
      // After the event loop has looked at its sockets.
      setImmediate(this.#takeTurn);
    }
  };
  /** Begins calls that wait; few at a time, so that what they do once begun is a part of the turn, too. */
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

  /** Calls begun and unanswered, or waiting. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Calls that found no place since the start. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Takes a place for a call of a connection; false when there is none. To be given back by {@link leave}. When all are
   * taken, the connection that holds most of them loses one to any that holds fewer, so that nobody keeps others out.
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

  /** Gives the place of a call back. */
  leave(line: Line): void {
    this.#inFlight--;
    if (line.places === 0) {
      this.#holders.delete(line);
    }
  }

  /**
   * To be called by a line that has become ready. Its call begins at once, unless calls wait or this turn of the event
   * loop has begun calls for long enough.
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
  /** Calls with a place that have not begun, whether their requests have arrived or not. */
  readonly #unbegun = new Map<Waiting, Placed>();
  #places = 0;
  #begun = 0;
  #isReady = false;

  /** @param maxBegun how many of its calls may be begun and unanswered. Default: no limit of its own. */
  constructor(queue: CallQueue, maxBegun = Infinity) {
    this.#queue = queue;
    this.#maxBegun = maxBegun;
  }

  /** Calls that are not answered yet. */
  get unanswered(): number {
    return this.#begun + this.#waiting.length;
  }

  /** How many places its calls hold. */
  get places(): number {
    return this.#places;
  }

  /** Takes one of the queue's places for a call that has not begun; false when there is none. */
  enter(call: Placed): boolean {
    if (!this.#queue.enter(this)) {
      return false;
    }
    this.#places++;
    this.#unbegun.set(call, call);
    return true;
  }

  /** Gives the place of a call back. */
  leave(call: Placed): void {
    this.#places--;
    this.#unbegun.delete(call);
    this.#queue.leave(this);
  }

  /** For the queue: one of its calls gives its place to another connection; false when all have begun. */
  makeWay(): boolean {
    for (const call of this.#unbegun.values()) {
      call.makeWay();
      return true;
    }
    return false;
  }

  /** Begins a call when its turn comes. {@link done} is to be called when it has been answered. */
  push(call: Waiting): void {
    this.#waiting.push(call);
    this.#schedule();
  }

  /** A call that had begun has been answered, or its client has gone. */
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
