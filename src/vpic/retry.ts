import { sleep } from "./sleep.ts";
import type { Call } from "./stop.ts";
import { VpicFault } from "./vpic-fault.ts";

export interface RetryOptions {
  /** With the first one. */
  readonly maxAttempts: number;
  /** The shortest pause between two attempts. */
  readonly minDelayMs: number;
  /** The longest one, unless vPIC itself asks for more. The pause before the last attempt may be that long. */
  readonly maxDelayMs: number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/**
 * Makes a call again when it failed in a way that may pass. The pause before is random (full jitter), so that those
 * who failed together do not come back together; its upper end doubles each time. `Retry-After` is waited for.
 */
export function withRetry<I>(options: RetryOptions, call: Call<I>): Call<I> {
  return async (input, stop) => {
    for (let attempt = 1; ; attempt++) {
      try {
        await call(input, stop);
        return;
      } catch (error) {
        if (!(error instanceof VpicFault) || !error.isTransient || attempt >= options.maxAttempts) {
          throw error;
        }
        await sleep(Math.max(backOffMs(options, attempt), error.retryAfterMs ?? 0), stop.whileWaiting);
      }
    }
  };
}

function backOffMs({ maxAttempts, minDelayMs, maxDelayMs, random }: RetryOptions, attempt: number): number {
  const upperEndMs = Math.max(minDelayMs, maxDelayMs / 2 ** Math.max(0, maxAttempts - 1 - attempt));
  return minDelayMs + random() * (upperEndMs - minDelayMs);
}
