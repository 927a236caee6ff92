export interface CallQueueOptions {
  /** How long a turn of the event loop is to take while calls wait, in ms. Default: 8. */
  readonly turnMs?: number;
  /** Monotonic clock, ms. */
  readonly now?: () => number;
  /** Runs something when the event loop has dealt with everything that came in. Default: setImmediate. */
  readonly atEndOfTurn?: (run: () => void) => void;
}

/** How many may wait until it is known how many a turn begins. */
const FIRST_ROOM = 8;
/** As many of the cheapest calls as a turn begins: should others follow, they must not wait behind more. */
const MOST_ROOM = 128;

/**
 * Calls that wait for their turn, in the order in which they came, while more come than can be answered.
 *
 * What comes in is only queued; at the end of each turn of the event loop calls are begun until the turn has taken so
 * many milliseconds, and for half as many at least, however long refusing took. So the event loop soon looks again at
 * what has come, and who is refused is told soon, while there is always something to do. As many may wait as the latest
 * full turns began; one with a long pause in it, such as a collection of garbage, only halves that.
 */
export class CallQueue {
  readonly #turnMs: number;
  readonly #now: () => number;
  readonly #atEndOfTurn: (run: () => void) => void;
  readonly #waiting: (() => void)[] = [];
  readonly #startTurn = (): void => this.#openTurn();
  readonly #goOn = (): void => this.#beginNext();
  #room = FIRST_ROOM;
  /** By how many the room grows when a turn is not used up though some were refused. */
  #growth = 1;
  #isTurnAhead = false;
  #turnStartedAt = 0;
  #turnEndsAt = 0;
  #begun = 0;
  #isTurnOver = false;
  #hasRefused = false;

  constructor({ turnMs = 8, now = () => performance.now(), atEndOfTurn = setImmediate }: CallQueueOptions = {}) {
    this.#turnMs = turnMs;
    this.#now = now;
    this.#atEndOfTurn = atEndOfTurn;
  }

  /** Whether the next call would find no room. */
  get isFull(): boolean {
    return this.#waiting.length >= this.#room;
  }

  /** Takes a call, to begin it soon; false when there is no room for it. */
  offer(begin: () => void): boolean {
    if (this.isFull) {
      this.#hasRefused = true;
      return false;
    }
    this.#waiting.push(begin);
    this.#schedule();
    return true;
  }

  /** One look at the queue for each call, since what a call does at once, microtasks too, is done before the next look. */
  #schedule(): void {
    if (!this.#isTurnAhead) {
      this.#isTurnAhead = true;
      this.#turnStartedAt = this.#now();
      this.#atEndOfTurn(this.#startTurn);
    }
    this.#atEndOfTurn(this.#goOn);
  }

  #openTurn(): void {
    if (this.#isTurnOver) {
      this.#room = Math.max(this.#begun, Math.floor(this.#room / 2));
      this.#growth = 1;
    } else if (this.#hasRefused) {
      this.#room = Math.min(MOST_ROOM, this.#room + this.#growth);
      this.#growth *= 2;
    } else {
      this.#growth = 1;
    }
    this.#turnEndsAt = Math.max(this.#turnStartedAt + this.#turnMs, this.#now() + this.#turnMs / 2);
    this.#isTurnAhead = false;
    this.#isTurnOver = false;
    this.#hasRefused = false;
    this.#begun = 0;
  }

  #beginNext(): void {
    if (this.#isTurnOver || (this.#begun > 0 && this.#now() >= this.#turnEndsAt)) {
      this.#isTurnOver = true;
      this.#schedule();
      this.#turnStartedAt = this.#now();
      return;
    }
    this.#begun++;
    this.#waiting.shift()?.();
  }
}
