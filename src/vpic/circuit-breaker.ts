import { SourceUnavailableError } from "../vehicle/errors.ts";
import type { Fleet } from "../vehicle/fleet.ts";
import type { Vin } from "../vehicle/vin.ts";
import type { Call } from "./call.ts";
import type { Batch } from "./gatherer.ts";
import { VpicError } from "./vpic-error.ts";

/** Closed: all attempts are allowed. Open: none is. Half-open: one is, to find out whether vPIC is back. */
export type BreakerState = "closed" | "open" | "half-open";

/** Called on every change of state, with the last failure that opened it. Half-open begins with the probe. */
type BreakerListener = (state: BreakerState, reason: VpicError | undefined) => void;

/** A failed request: its VINs and the reason. */
export interface FailedAttempt {
  readonly vins: readonly Vin[];
  readonly reason: VpicError;
}

/** One attempt. It must be ended exactly once. */
export interface BreakerPass {
  /** `cancelled`: the result says nothing about vPIC, for example because the caller left. */
  end(outcome: "answered" | "cancelled" | FailedAttempt): void;
}

const FIRST_PAUSE_MS = 5_000;
const MAX_PAUSE_MS = 30_000;
/** The pause after a 403: vPIC blocks by address, and further requests prolong that. */
const FORBIDDEN_PAUSE_MS = 5 * 60_000;
/** The longest `Retry-After` for which a caller waits. After a longer one, the next source answers at once. */
const MAX_WAITED_RETRY_AFTER_MS = 3_000;

/**
 * Pauses requests while vPIC fails, so that no caller waits for it and vPIC can recover. After a pause of 5 s one
 * attempt probes it; while probes fail, the pause doubles up to 30 s.
 */
export class CircuitBreaker {
  readonly #onChange: BreakerListener;
  readonly #window = new AttemptWindow();
  #state: BreakerState = "closed";
  #pauseMs = FIRST_PAUSE_MS;
  /** When an open breaker allows a probe, on the monotonic clock. */
  #probeAt = 0;
  #probe: number | undefined;
  #reason: VpicError | undefined;
  #opened = new AbortController();

  /** @param onChange Default: none. */
  constructor(onChange: BreakerListener = () => undefined) {
    this.#onChange = onChange;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Aborted with the error for callers as soon as the breaker opens. Replaced by a new signal when a probe begins. */
  get opened(): AbortSignal {
    return this.#opened.signal;
  }

  /** The time until the next probe if this one fails or is not made, in ms. */
  get pauseMs(): number {
    return this.#pauseMs;
  }

  /** Why no attempt is allowed now, or undefined when one is. */
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
   * @throws SourceUnavailableError when none is allowed now.
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
    return { end: (outcome) => this.#end(number, outcome) };
  }

  /** Opens for this time because vPIC asked for a pause, even if attempts succeed. */
  openFor(durationMs: number, reason: VpicError): void {
    this.#reason = reason;
    this.#open(durationMs);
  }

  #end(number: number, outcome: "answered" | "cancelled" | FailedAttempt): void {
    this.#window.end(number, outcome);
    if (number === this.#probe) {
      this.#endProbe(outcome);
    } else if (this.#state === "closed" && typeof outcome === "object" && this.#window.isFailing) {
      this.#pauseMs = FIRST_PAUSE_MS;
      this.openFor(this.#pauseMs, outcome.reason);
    }
  }

  #endProbe(outcome: "answered" | "cancelled" | FailedAttempt): void {
    this.#probe = undefined;
    if (this.#state !== "half-open") {
      return;
    }
    if (outcome === "answered") {
      this.#change("closed");
      return;
    }
    if (outcome === "cancelled") {
      // The probe says nothing about vPIC, but must not be repeated at once.
      this.#open(this.#pauseMs);
      return;
    }
    this.#pauseMs = Math.min(this.#pauseMs * 2, MAX_PAUSE_MS);
    this.openFor(this.#pauseMs, outcome.reason);
  }

  #open(durationMs: number): void {
    this.#probeAt = Math.max(this.#state === "open" ? this.#probeAt : 0, performance.now() + durationMs);
    this.#opened.abort(toRefusal(durationMs));
    // The results of earlier attempts say nothing about vPIC after the pause.
    this.#window.clear();
    if (this.#state !== "open") {
      this.#change("open");
    }
  }

  #change(state: BreakerState): void {
    this.#state = state;
    this.#onChange(state, this.#reason);
  }
}

function toRefusal(retryAfterMs: number): SourceUnavailableError {
  return new SourceUnavailableError("circuit breaker open: requests to vPIC are paused", { retryAfterMs });
}

interface EndedAttempt {
  /** In the order in which attempts began. */
  readonly number: number;
  /** The VINs of the request if it failed. */
  readonly failedVins: readonly Vin[] | undefined;
  /** On the monotonic clock. */
  readonly endedAt: number;
}

const WINDOW_MS = 30_000;
/** Enough for a decision with any budget. */
const MAX_ATTEMPTS = 200;
const MIN_ATTEMPTS_FOR_RATE = 10;
const MAX_FAILED_SHARE = 0.5;
const MIN_FAILURES_WITHOUT_SUCCESS = 3;

/** The results of the attempts of the last 30 s, and whether they are a reason to pause. */
class AttemptWindow {
  readonly #undecided = new Set<number>();
  #ended: EndedAttempt[] = [];
  #lastNumber = 0;
  /** Attempts with a smaller number no longer count. */
  #firstNumber = 1;

  /** Records that an attempt begins, and returns its number. */
  begin(): number {
    this.#lastNumber += 1;
    this.#undecided.add(this.#lastNumber);
    return this.#lastNumber;
  }

  end(number: number, outcome: "answered" | "cancelled" | FailedAttempt): void {
    this.#undecided.delete(number);
    if (outcome !== "cancelled" && number >= this.#firstNumber) {
      const now = performance.now();
      this.#ended.push({ number, failedVins: outcome === "answered" ? undefined : outcome.vins, endedAt: now });
      this.#ended = this.#ended.slice(-MAX_ATTEMPTS).filter(({ endedAt }) => endedAt > now - WINDOW_MS);
    }
  }

  /** Forgets all attempts, including running ones, because they began before the pause. */
  clear(): void {
    this.#ended = [];
    this.#undecided.clear();
    this.#firstNumber = this.#lastNumber + 1;
  }

  /**
   * Whether at least 10 attempts ended and half of them failed, or at least 3 failed and none succeeded. Failures that
   * have a VIN in common count as one: that VIN may be the reason.
   *
   * Failures are often faster than answers: of attempts that began together, the failed ones end first, and the others
   * may still succeed. So the first rule counts undecided attempts as successes, and the second ignores attempts that
   * began after an undecided one.
   */
  get isFailing(): boolean {
    const succeeded = this.#ended.filter(({ failedVins }) => failedVins === undefined).length;
    const failed = countUnrelated(this.#ended);
    const total = succeeded + failed;
    if (total >= MIN_ATTEMPTS_FOR_RATE && failed >= (total + this.#countOvertaken()) * MAX_FAILED_SHARE) {
      return true;
    }
    const [oldestUndecided = Infinity] = this.#undecided;
    const settled = this.#ended.filter(({ number }) => number < oldestUndecided);
    return succeeded === 0 && countUnrelated(settled) >= MIN_FAILURES_WITHOUT_SUCCESS;
  }

  /** The number of undecided attempts that began before one that ended. Later ones may not even be sent yet. */
  #countOvertaken(): number {
    const latestEnded = Math.max(...this.#ended.map(({ number }) => number));
    return this.#undecided.values().reduce((count, number) => (number < latestEnded ? count + 1 : count), 0);
  }
}

/**
 * The number of failures that have no VIN in common. Small requests are counted first, so that both halves of a split
 * request count.
 */
function countUnrelated(attempts: readonly EndedAttempt[]): number {
  const failures = attempts.flatMap(({ failedVins }) => (failedVins === undefined ? [] : [failedVins]));
  const seen = new Set<Vin>();
  let count = 0;
  for (const vins of failures.toSorted((a, b) => a.length - b.length)) {
    if (!vins.some((vin) => seen.has(vin))) {
      count += 1;
      vins.forEach((vin) => seen.add(vin));
    }
  }
  return count;
}

/**
 * Refuses calls while the breaker is open, and ends waiting calls when it opens. Must be outside every policy that
 * waits.
 */
export function withRefusal<I>(breaker: CircuitBreaker, call: Call<I>): Call<I> {
  return async (input, stop) => {
    const { refusal } = breaker;
    if (refusal !== undefined) {
      throw refusal;
    }
    // After the pause, an open breaker still has the aborted signal, which must not end the probe.
    const opened = breaker.opened.aborted ? [] : [breaker.opened];
    await call(input, { ...stop, whileWaiting: AbortSignal.any([stop.whileWaiting, ...opened]) });
  };
}

/** Lets the processes of a fleet probe vPIC in turn. */
export type Probes = Pick<Fleet, "mayProbe" | "endProbing">;

/**
 * Records every attempt, and refuses attempts while the breaker is open. Sends no probe while another process of the
 * fleet is probing.
 */
export function withCircuitBreaker(breaker: CircuitBreaker, call: Call<Batch>, probes?: Probes): Call<Batch> {
  return async (batch, stop) => {
    const pass = breaker.begin();
    const isProbe = breaker.state === "half-open";
    if (isProbe && probes !== undefined && !(await probes.mayProbe(breaker.pauseMs))) {
      pass.end("cancelled");
      throw breaker.refusal ?? toRefusal(breaker.pauseMs);
    }
    try {
      await call(batch, stop);
      pass.end("answered");
      await (isProbe ? probes?.endProbing() : undefined);
    } catch (error) {
      if (!(error instanceof VpicError)) {
        // A caller that leaves or a full queue is not a failure of vPIC.
        pass.end("cancelled");
        throw error;
      }
      pass.end(error.showsVpicWorks ? "answered" : { vins: batch.openVins, reason: error });
      pauseAsAsked(breaker, error);
      throw toRefused(breaker, error);
    }
  };
}

/** The error of an attempt that is not repeated because the breaker is now open. */
function toRefused(breaker: CircuitBreaker, error: VpicError): Error {
  const { refusal } = breaker;
  return refusal === undefined
    ? error
    : new SourceUnavailableError(refusal.message, { cause: error, retryAfterMs: refusal.retryAfterMs });
}

function pauseAsAsked(breaker: CircuitBreaker, error: VpicError): void {
  if (error.status === 403) {
    breaker.openFor(FORBIDDEN_PAUSE_MS, error);
  } else if (error.retryAfterMs !== undefined && error.retryAfterMs > MAX_WAITED_RETRY_AFTER_MS) {
    breaker.openFor(Math.min(error.retryAfterMs, FORBIDDEN_PAUSE_MS), error);
  }
}
