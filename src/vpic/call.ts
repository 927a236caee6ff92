/** The signals that end a call early, with their reasons. */
export interface Stop {
  /** Ends the call at any time, because no caller needs its result any more. */
  readonly signal: AbortSignal;
  /**
   * Ends the call only while it waits for its turn; a request that has been sent continues. Also aborted when `signal`
   * is.
   */
  readonly whileWaiting: AbortSignal;
}

/** Work that takes an input. Each resilience policy is a function that wraps one call into another. */
export type Call<I> = (input: I, stop: Stop) => Promise<void>;
