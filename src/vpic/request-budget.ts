import type { Call } from "./stop.ts";
import { VpicFault } from "./vpic-fault.ts";

/** What may be sent to vPIC: every request, retries included, takes one from it. */
export interface RequestBudget {
  /** Waits until a request may be sent. Rejects with the signal's reason when aborted, and then takes nothing. */
  take(signal: AbortSignal): Promise<void>;
  /** Gives nothing out for so long: vPIC asked to be left alone. */
  pauseFor(durationMs: number): void;
  /** How many requests could be sent at once, now. */
  readonly available: number;
  /** How many wait to be sent. */
  readonly waiting: number;
}

/** Takes every call from the budget just before it is made. An answer with a `Retry-After` pauses the budget. */
export function withRequestBudget<I>(budget: RequestBudget, call: Call<I>): Call<I> {
  return async (input, stop) => {
    await budget.take(stop.whileWaiting);
    try {
      await call(input, stop);
    } catch (error) {
      if (error instanceof VpicFault && error.retryAfterMs !== undefined) {
        budget.pauseFor(error.retryAfterMs);
      }
      throw error;
    }
  };
}
