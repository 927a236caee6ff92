/** Why a call was not let in. */
export type RefusalReason = "TOKEN_MISSING" | "TOKEN_UNKNOWN" | "RATE_LIMITED" | "TOO_MANY_STREAMS" | "OVERLOADED";

/**
 * A call that was not let in. Not an Error: floods are made of refused calls, and capturing a stack for each would make a
 * refusal dearer than an answer.
 */
export interface Refusal {
  readonly reason: RefusalReason;
  /** When asking again may help, in ms from now; 0 when waiting does not help. */
  readonly retryAfterMs: number;
}

/** Tells a refusal from whatever is given when a call is let in. */
export function isRefusal(outcome: object): outcome is Refusal {
  return "reason" in outcome && "retryAfterMs" in outcome;
}
