/** The signals that end a call early, with their reasons. */
export interface Stop {
  /** Ends the call at any time: no caller wants its result any more. */
  readonly signal: AbortSignal;
  /** Ends the call while it waits for its turn; a request that was sent continues. Also aborted when `signal` is. */
  readonly whileWaiting: AbortSignal;
}

/** Work that takes an input. Each resilience policy is a function that wraps one call into another. */
export type Call<I> = (input: I, stop: Stop) => Promise<void>;
