import { Roster, type Seated } from "./roster.ts";

/** Work that waits for its turn. */
export interface Waiting {
  begin(): void;
}

/** A call that holds a slot from its arrival to its answer, unless it is refused. */
export interface Placed extends Waiting, Seated {
  /** Whether it has had its turn. From then on it keeps its slot. */
  readonly hasBegun: boolean;
  /** Written by the line: whether it has no slot. It must not be pushed then. */
  isRefused: boolean;
  /** Answers that the service is overloaded. Called when the turn of its refusal has come. */
  refuse(): void;
}

export interface CallQueueOptions {
  /** Maximum number of calls that run or wait. Default: 2,048. */
  readonly maxCalls?: number | undefined;
  /** How long the queue starts calls before it lets the event loop check its sockets, in ms. Default: 8. */
  readonly turnMs?: number | undefined;
  /** Monotonic clock, ms. Default: the system's. */
  readonly now?: () => number;
}

/** About 8 ms of new VINs. Their work goes on after they have begun, so the clock alone would not limit it. */
const MAX_BEGUN_TOGETHER = 50;
/** While calls wait for their turn, one call is refused for this many that begin. */
const BEGUN_FOR_EACH_REFUSAL = 2;

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
  /** Calls without a slot, in the order of their arrival. */
  readonly #refusals: Placed[] = [];
  /** Undefined when no call waits and none has begun in this turn of the event loop. */
  #turnEndsAt: number | undefined;
  #begunSinceRefusal = 0;

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
    const fullest = this.#lines.largest(placesOf);
    const hasTaken = fullest !== undefined && fullest.places > other.places + 1 && fullest.makeWay();
    this.refused += hasTaken ? 1 : 0;
    return hasTaken;
  }

  /** Starts the next call of a line now, unless others wait or the time for this turn of the event loop is used up. */
  schedule(line: Line): void {
    if (this.#mustWait()) {
      this.#ready.push(line);
    } else {
      line.beginNext();
    }
  }

  /**
   * Refuses a call now, under the same conditions. Otherwise it waits for its turn: clients replace refused calls at
   * once, and reading the new ones would leave no time for the calls that have a slot.
   */
  refuse(call: Placed): void {
    if (this.#mustWait()) {
      this.#refusals.push(call);
    } else {
      call.refuse();
    }
  }

  #mustWait(): boolean {
    if (this.#turnEndsAt === undefined) {
      this.#turnEndsAt = this.#now() + this.#turnMs;
      setImmediate(this.#endTurn);
      return false;
    }
    return this.#hasWaiting || this.#now() >= this.#turnEndsAt;
  }

  get #hasWaiting(): boolean {
    return this.#ready.length > 0 || this.#refusals.length > 0;
  }

  /** Starts waiting calls a few at a time, so that the work that they trigger counts towards the turn too. */
  readonly #takeTurn = (): void => {
    const endsAt = this.#now() + this.#turnMs;
    // Calls that come from the ones started here wait, too.
    this.#turnEndsAt = -Infinity;
    let begun = 0;
    do {
      this.#ready.shift()?.beginNext();
      begun++;
      this.#begunSinceRefusal++;
      if (this.#begunSinceRefusal >= BEGUN_FOR_EACH_REFUSAL || this.#ready.length === 0) {
        this.#begunSinceRefusal = 0;
        this.#refusals.shift()?.refuse();
      }
    } while (begun < MAX_BEGUN_TOGETHER && this.#hasWaiting && this.#now() < endsAt);
    this.#endTurn();
  };

  readonly #endTurn = (): void => {
    if (this.#hasWaiting) {
      // Continues after the event loop has checked its sockets.
      setImmediate(this.#takeTurn);
    } else {
      this.#turnEndsAt = undefined;
    }
  };
}

function placesOf({ places }: Line): number {
  return places;
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

  /**
   * Takes a slot for a call that has not begun. {@link leave} returns the slot. When there is none, the call is refused,
   * and the result is false.
   */
  enter(call: Placed): boolean {
    if (this.#queue.enter(this)) {
      this.#placed.add(call);
      return true;
    }
    this.#refuse(call);
    return false;
  }

  /** Without effect for a call that has no slot. */
  leave(call: Placed): void {
    if (call.seat >= 0) {
      this.#placed.remove(call);
      this.#queue.leave(this);
    }
  }

  /** Called by the queue: refuses one of its latest calls to free a slot. Returns false when all calls have begun. */
  makeWay(): boolean {
    const call = this.#placed.findLast(({ hasBegun }) => !hasBegun);
    if (call === undefined) {
      return false;
    }
    this.leave(call);
    const index = this.#waiting.indexOf(call);
    if (index >= 0) {
      this.#waiting.splice(index, 1);
    }
    this.#refuse(call);
    return true;
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

  #refuse(call: Placed): void {
    call.isRefused = true;
    this.#queue.refuse(call);
  }

  #schedule(): void {
    if (!this.#isReady && this.#waiting.length > 0 && this.#begun < this.#maxBegun) {
      this.#isReady = true;
      this.#queue.schedule(this);
    }
  }
}
