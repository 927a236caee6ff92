/** An answer that is watched from the arrival of its request's headers to its end. */
export interface Watched {
  /** The deadline, in ms on the monotonic clock. `Infinity`: none. */
  readonly deadlineAt: number;
  /** Whether the whole request has arrived. */
  readonly hasArrived: boolean;
  /** Bytes of the answer so far. */
  readonly writtenBytes: number;
  /** Bytes of the answer that the client has not taken yet. */
  readonly pendingBytes: number;
  /** Answers that the deadline has passed, in the usual way. */
  expire(): void;
  /** Answers that the request did not arrive in time, in the usual way. */
  endLate(): void;
  /** Ends an answer that is overdue or not being read, without another message. */
  cut(): void;
}

export interface CallWatchOptions {
  /** How long a request may take to arrive, in ms. Default: 15 s. */
  readonly arrivalTimeoutMs?: number | undefined;
  /** How long a client may stop reading an answer, in ms. Default: 30 s. */
  readonly stallTimeoutMs?: number | undefined;
  /** How often answers are checked, in ms. Default: 25. */
  readonly lookMs?: number;
  /** Monotonic clock, ms. Default: the system's. */
  readonly now?: () => number;
}

/** How long an expired answer may take to be sent, in ms: two checks, because the first may be late. */
const GOODBYE_MS = 50;

interface State {
  readonly arrivesBy: number;
  isLate: boolean;
  expiredAt: number | undefined;
  takenBytes: number;
  progressAt: number;
}

/**
 * The one place that enforces deadlines, the arrival of requests and the progress of readers. It checks all answers in
 * one sweep, which is cheaper than a timer for each, since most answers end before the first check.
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

  /** Call this when the answer or its connection has ended. */
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
