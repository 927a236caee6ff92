import { SourceUnavailableError } from "../vehicle/errors.ts";
import { AttemptWindow } from "./attempt-window.ts";

/** Closed: attempts are made. Open: none is. Half-open: one is, to see whether vPIC is back. */
export type BreakerState = "closed" | "open" | "half-open";

/** One attempt, which must be ended once. */
export interface BreakerPass {
  /** `undefined`: it ended neither way, such as when its caller went away. */
  end(succeeded: boolean | undefined): void;
}

const FIRST_PAUSE_MS = 5_000;
const MAX_PAUSE_MS = 30_000;

/**
 * Leaves vPIC alone while it fails, so that nobody waits for it and it can recover. After a pause of 5 s one attempt
 * probes it; while probes fail, the pause doubles up to 30 s.
 */
export class CircuitBreaker {
  readonly #onChange: (state: BreakerState) => void;
  readonly #window = new AttemptWindow();
  #state: BreakerState = "closed";
  #pauseMs = FIRST_PAUSE_MS;
  /** When an open breaker lets a probe pass, on the monotonic clock. */
  #probeAt = 0;
  #probe: number | undefined;
  #opened = new AbortController();

  /** @param onChange told of every change; half-open is noticed when the probe begins. */
  constructor(onChange: (state: BreakerState) => void = () => undefined) {
    this.#onChange = onChange;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Aborted, with what callers are told, as soon as the breaker opens; a new signal when a probe begins. */
  get opened(): AbortSignal {
    return this.#opened.signal;
  }

  /** Why no attempt may be made now, or undefined when one may. */
  get refusal(): SourceUnavailableError | undefined {
    const waitMs = this.#probeAt - performance.now();
    if (this.#state === "half-open") {
      return new SourceUnavailableError("vPIC is being probed after it failed", { retryAfterMs: FIRST_PAUSE_MS });
    }
    return this.#state === "open" && waitMs > 0 ? toRefusal(waitMs) : undefined;
  }

  /**
   * Begins an attempt.
   *
   * @throws SourceUnavailableError when none may be made now.
   */
  begin(): BreakerPass {
    const { refusal } = this;
    if (refusal !== undefined) {
      throw refusal;
    }
    const number = this.#window.begin();
    if (this.#state === "open") {
      this.#probe = number;
      this.#opened = new AbortController();
      this.#change("half-open");
    }
    return { end: (succeeded) => this.#end(number, succeeded) };
  }

  /** Opens for so long, whatever the attempts say: vPIC wants to be left alone. */
  openFor(durationMs: number): void {
    this.#open(durationMs);
  }

  #end(number: number, succeeded: boolean | undefined): void {
    this.#window.end(number, succeeded);
    if (number === this.#probe) {
      this.#endProbe(succeeded);
    } else if (this.#state === "closed" && this.#window.isFailing) {
      this.#pauseMs = FIRST_PAUSE_MS;
      this.#open(this.#pauseMs);
    }
  }

  #endProbe(succeeded: boolean | undefined): void {
    this.#probe = undefined;
    if (this.#state !== "half-open") {
      return;
    }
    if (succeeded === true) {
      this.#change("closed");
      return;
    }
    // A probe whose caller went away has told nothing; it may not be repeated at once all the same.
    this.#pauseMs = succeeded === undefined ? this.#pauseMs : Math.min(this.#pauseMs * 2, MAX_PAUSE_MS);
    this.#open(this.#pauseMs);
  }

  #open(durationMs: number): void {
    this.#probeAt = Math.max(this.#state === "open" ? this.#probeAt : 0, performance.now() + durationMs);
    this.#opened.abort(toRefusal(durationMs));
    // What became of attempts that began before says nothing about vPIC afterwards.
    this.#window.clear();
    if (this.#state !== "open") {
      this.#change("open");
    }
  }

  #change(state: BreakerState): void {
    this.#state = state;
    this.#onChange(state);
  }
}

function toRefusal(retryAfterMs: number): SourceUnavailableError {
  return new SourceUnavailableError("vPIC failed too often and is left alone for a while", { retryAfterMs });
}
