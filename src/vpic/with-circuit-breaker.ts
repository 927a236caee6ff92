import { SourceUnavailableError } from "../vehicle/errors.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import type { Call } from "./stop.ts";
import { VpicFault } from "./vpic-fault.ts";

/** How long vPIC is left alone after a 403: it blocks by address, and asking on prolongs that. */
const FORBIDDEN_PAUSE_MS = 5 * 60_000;
/** The longest `Retry-After` that is waited for; after a longer one the next source answers at once. */
const MAX_WAITED_RETRY_AFTER_MS = 3_000;

/**
 * Lets nothing begin, and ends what waits for its turn, while the breaker is open. Goes around everything that waits.
 */
export function withRefusal<I>(breaker: CircuitBreaker, call: Call<I>): Call<I> {
  return async (input, stop) => {
    const { refusal } = breaker;
    if (refusal !== undefined) {
      throw refusal;
    }
    // An open breaker whose pause is over still has the signal of its opening; the probe must not be ended by it.
    const opened = breaker.opened.aborted ? [] : [breaker.opened];
    await call(input, { ...stop, whileWaiting: AbortSignal.any([stop.whileWaiting, ...opened]) });
  };
}

/** Counts every attempt, and makes none while the breaker is open. */
export function withCircuitBreaker<I>(breaker: CircuitBreaker, call: Call<I>): Call<I> {
  return async (input, stop) => {
    const pass = breaker.begin();
    try {
      await call(input, stop);
      pass.end(true);
    } catch (error) {
      // Neither a caller who goes away nor a queue that is full is a failure of vPIC.
      pass.end(error instanceof VpicFault ? error.partlyAnswered : undefined);
      if (error instanceof VpicFault) {
        heed(breaker, error);
      }
      throw toRefused(breaker, error);
    }
  };
}

/** When this failure was the last straw, there is nothing left to try. */
function toRefused(breaker: CircuitBreaker, error: unknown): unknown {
  const { refusal } = breaker;
  return refusal === undefined || !(error instanceof VpicFault)
    ? error
    : new SourceUnavailableError(refusal.message, { cause: error, retryAfterMs: refusal.retryAfterMs });
}

function heed(breaker: CircuitBreaker, fault: VpicFault): void {
  if (fault.status === 403) {
    breaker.openFor(FORBIDDEN_PAUSE_MS);
  } else if (fault.retryAfterMs !== undefined && fault.retryAfterMs > MAX_WAITED_RETRY_AFTER_MS) {
    breaker.openFor(Math.min(fault.retryAfterMs, FORBIDDEN_PAUSE_MS));
  }
}
