/** Ends a call early. Both signals end it with their reasons. */
export interface Stop {
  /** Ends the call at any time: no caller wants its result any more. */
  readonly signal: AbortSignal;
  /** Ends the call while it waits for its turn; a request that was sent goes on. Aborted too when `signal` is. */
  readonly whileWaiting: AbortSignal;
}

/** Work that takes an input. Each resilience policy is a function that wraps one call into another. */
export type Call<I> = (input: I, stop: Stop) => Promise<void>;
