/** An answer that is watched from the time that its request's headers arrive until it ends. */
export interface Watched {
  /** The deadline, in ms on the monotonic clock. `Infinity`: none. */
  readonly deadlineAt: number;
  /** Whether the whole request has arrived. */
  readonly hasArrived: boolean;
  /** Bytes of the answer so far. */
  readonly writtenBytes: number;
  /** Bytes of the answer that the client has not taken yet. */
  readonly pendingBytes: number;
  /** Sends the usual answer for a deadline that has passed. */
  expire(): void;
  /** Sends the usual answer for a request that did not arrive in time. */
  endLate(): void;
  /** Aborts an answer that is overdue or that the client does not read. Sends nothing more. */
  cut(): void;
}

export interface CallWatchOptions {
  /** How long a request may take to arrive, in ms. Default: 15 s. */
  readonly arrivalTimeoutMs?: number | undefined;
  /** How long a client may read nothing of an answer, in ms. Default: 30 s. */
  readonly stallTimeoutMs?: number | undefined;
  /** How often answers are checked, in ms. Default: 25. */
  readonly lookMs?: number;
  /** Monotonic clock, ms. Default: the system's. */
  readonly now?: () => number;
}

/** How long the answer for a passed deadline may take to be sent, in ms: two checks, because the first may be late. */
const GOODBYE_MS = 50;

interface State {
  readonly arrivesBy: number;
  isLate: boolean;
  expiredAt: number | undefined;
  takenBytes: number;
  progressAt: number;
}

/**
 * The only place that enforces deadlines and notices slow requests and stalled readers. It checks all answers in one
 * sweep. This is cheaper than a timer for each, because most answers end before the first check.
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

  /** Stops watching an answer. Call this when the answer or its connection has ended. */
  remove(watched: Watched): void {
    this.#watched.delete(watched);
  }

  /** Checks every answer once. Called by the timer and by tests. */
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
