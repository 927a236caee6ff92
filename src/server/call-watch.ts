/** An answer that is watched from the arrival of its request's headers to its end. */
export interface Watched {
  /** When it must have ended, in ms on the monotonic clock. `Infinity`: no deadline. */
  readonly deadlineAt: number;
  /** Whether the whole request has arrived. */
  readonly hasArrived: boolean;
  /** Bytes of the answer so far. */
  readonly writtenBytes: number;
  /** Those of them that its client has not taken yet. */
  readonly pendingBytes: number;
  /** The deadline has passed: answers so, in the usual way. */
  expire(): void;
  /** The request did not arrive in time: answers so, in the usual way. */
  endLate(): void;
  /** Nobody reads the answer, or it is overdue: ends it without another word. */
  cut(): void;
}

export interface CallWatchOptions {
  /** How long a request may take to arrive, in ms. Default: 15 s. */
  readonly arrivalTimeoutMs?: number | undefined;
  /** How long a client may take nothing of an answer, in ms. Default: 30 s. */
  readonly stallTimeoutMs?: number | undefined;
  /** How often answers are looked at, in ms. Default: 25. */
  readonly lookMs?: number;
  /** Monotonic clock, ms. Default: the system's. */
  readonly now?: () => number;
}

/** How long an expired answer may take to go, in ms: two looks, of which the first may be late itself. */
const GOODBYE_MS = 50;

interface State {
  readonly arrivesBy: number;
  isLate: boolean;
  expiredAt: number | undefined;
  takenBytes: number;
  progressAt: number;
}

/**
 * The one watch over deadlines, requests that do not arrive, and readers that take nothing. It looks at all answers in
 * one sweep, which is cheaper than a timer for each; most are gone by the first look.
 */
export class CallWatch implements Disposable {
  readonly #arrivalTimeoutMs: number;
  readonly #stallTimeoutMs: number;
  readonly #lookMs: number;
  readonly #now: () => number;
  readonly #watched = new Map<Watched, State | undefined>();
  #timer: NodeJS.Timeout | undefined;

  constructor({
    arrivalTimeoutMs = 15_000,
    stallTimeoutMs = 30_000,
    lookMs = 25,
    now = () => performance.now(),
  }: CallWatchOptions = {}) {
    this.#arrivalTimeoutMs = arrivalTimeoutMs;
    this.#stallTimeoutMs = stallTimeoutMs;
    this.#lookMs = lookMs;
    this.#now = now;
  }

  /** Watches an answer until {@link remove}. */
  add(watched: Watched): void {
    this.#watched.set(watched, undefined);
    this.#timer ??= setInterval(() => this.look(), this.#lookMs).unref();
  }

  /** To be called when the answer has ended, or its connection has. */
  remove(watched: Watched): void {
    this.#watched.delete(watched);
  }

  /** Looks at every answer once. Called by the timer, and by tests. */
  look(): void {
    if (this.#watched.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const now = this.#now();
    for (const [watched, known] of this.#watched) {
      const state = known ?? this.#begin(watched, now);
      if (state.expiredAt !== undefined) {
        if (now - state.expiredAt >= GOODBYE_MS) {
          watched.cut();
        }
      } else if (now >= watched.deadlineAt) {
        state.expiredAt = now;
        watched.expire();
      } else if (!state.isLate && !watched.hasArrived && now >= state.arrivesBy) {
        state.isLate = true;
        watched.endLate();
      } else if (this.#isStalled(watched, state, now)) {
        watched.cut();
      }
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #begin(watched: Watched, now: number): State {
    const state: State = {
      arrivesBy: now + this.#arrivalTimeoutMs,
      isLate: false,
      expiredAt: undefined,
      takenBytes: 0,
      progressAt: now,
    };
    this.#watched.set(watched, state);
    return state;
  }

  #isStalled({ writtenBytes, pendingBytes }: Watched, state: State, now: number): boolean {
    const takenBytes = writtenBytes - pendingBytes;
    if (pendingBytes === 0 || takenBytes > state.takenBytes) {
      state.takenBytes = takenBytes;
      state.progressAt = now;
    }
    return now - state.progressAt >= this.#stallTimeoutMs;
  }
}
