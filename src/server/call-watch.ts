import { Roster, type Seated } from "./roster.ts";

/** An answer that is watched from the time that its request's headers arrive until it ends. */
export interface Watched {
  /** The deadline, in ms on the monotonic clock. `Infinity`: none. */
  readonly deadlineAt: number;
  /** Whether nothing more of the request has to arrive in time. */
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
/** How often progress is checked in the time that a client may read nothing. */
const PROGRESS_CHECKS = 128;

/** What is known about an answer while it is watched. */
export interface Watching extends Seated {
  readonly watched: Watched;
  /** When it is checked next. Most sweeps read nothing else of it. */
  checkAt: number;
  /** In ms on the monotonic clock; undefined until the first check. */
  arrivesBy: number | undefined;
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
  readonly #all = new Roster<Watching>();
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
  add(watched: Watched): Watching {
    const watching: Watching = {
      seat: -1,
      watched,
      checkAt: -Infinity,
      arrivesBy: undefined,
      isLate: false,
      expiredAt: undefined,
      takenBytes: 0,
      progressAt: 0,
    };
    this.#all.add(watching);
    this.#timer ??= setInterval(() => this.look(), this.#lookMs).unref();
    return watching;
  }

  /** Stops watching an answer. Call this when the answer or its connection has ended. */
  remove(watching: Watching): void {
    this.#all.remove(watching);
  }

  /** Checks every answer that is due. Called by the timer and by tests. */
  look(): void {
    if (this.#all.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const now = this.#now();
    for (const watching of this.#all.toArray()) {
      // Ending one answer may end others.
      if (now >= watching.checkAt && watching.seat >= 0) {
        this.#check(watching, now);
      }
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #check(watching: Watching, now: number): void {
    const { watched } = watching;
    if (watching.arrivesBy === undefined) {
      watching.arrivesBy = now + this.#arrivalTimeoutMs;
      watching.progressAt = now;
    }
    if (watching.expiredAt !== undefined) {
      if (now - watching.expiredAt >= GOODBYE_MS) {
        watched.cut();
      }
    } else if (now >= watched.deadlineAt) {
      watching.expiredAt = now;
      watched.expire();
    } else if (!watching.isLate && !watched.hasArrived && now >= watching.arrivesBy) {
      watching.isLate = true;
      watched.endLate();
    } else if (this.#isStalled(watching, now)) {
      watched.cut();
    }
    watching.checkAt = Math.min(
      watched.deadlineAt,
      watched.hasArrived ? Infinity : watching.arrivesBy,
      watching.progressAt + this.#stallTimeoutMs,
      now + this.#stallTimeoutMs / PROGRESS_CHECKS,
    );
  }

  #isStalled(watching: Watching, now: number): boolean {
    const { writtenBytes, pendingBytes } = watching.watched;
    const takenBytes = writtenBytes - pendingBytes;
    if (pendingBytes === 0 || takenBytes > watching.takenBytes) {
      watching.takenBytes = takenBytes;
      watching.progressAt = now;
    }
    return now - watching.progressAt >= this.#stallTimeoutMs;
  }
}
