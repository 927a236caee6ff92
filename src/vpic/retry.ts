import { SourceUnavailableError } from "../vehicle/errors.ts";
import { sleep } from "../vehicle/wait-for.ts";
import type { Call, Stop } from "./call.ts";
import type { Batch } from "./gatherer.ts";
import { VpicError } from "./vpic-error.ts";

export interface RetryOptions {
  /** Including the first attempt. */
  readonly maxAttempts: number;
  /** The shortest pause between two attempts. */
  readonly minDelayMs: number;
  /** The longest pause, before the last attempt, unless vPIC asks for more. */
  readonly maxDelayMs: number;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Called when the open questions of a batch have failed for the last time. */
  readonly onExhausted: (batch: Batch) => void;
}

/**
 * Repeats a request after a transient failure. The pause before it is random (full jitter), so that requests that
 * failed together are not repeated together; its upper bound doubles each time. `Retry-After` is respected.
 *
 * A single VIN may fail a request of fifty. So a batch that has failed twice, or once for a permanent reason, is split
 * into halves that are sent separately, until all other VINs are answered.
 */
export function withRetry(options: RetryOptions, call: Call<Batch>): Call<Batch> {
  const attempt = async (batch: Batch, stop: Stop, number: number): Promise<void> => {
    try {
      await call(batch, stop);
    } catch (error) {
      if (!(error instanceof VpicError)) {
        // The attempt failed and the circuit breaker allows no further one, for example after a probe.
        if (error instanceof SourceUnavailableError && error.cause instanceof VpicError) {
          options.onExhausted(batch);
        }
        throw error;
      }
      const halves = mayBeDueToOneVin(error, number) ? batch.split() : undefined;
      if (halves === undefined && (!error.isTransient || number >= options.maxAttempts)) {
        options.onExhausted(batch);
        throw error;
      }
      await sleep(Math.max(backOffMs(options, number), error.retryAfterMs ?? 0), stop.whileWaiting);
      await (halves === undefined ? attempt(batch, stop, number + 1) : attemptEach(halves, stop));
    }
  };
  const attemptEach = async (batches: readonly Batch[], stop: Stop): Promise<void> => {
    const attempts = batches.map((batch) => attempt(batch, stop, 2));
    // The failure of one half must not end the other.
    await Promise.allSettled(attempts);
    await Promise.all(attempts);
  };
  return async (batch, stop) => await attempt(batch, stop, 1);
}

/** Whether a single VIN may be the reason that the request failed. */
function mayBeDueToOneVin(error: VpicError, attempt: number): boolean {
  const isThrottled = error.status === 429;
  return !isThrottled && !error.partlyAnswered && (attempt > 1 || !error.isTransient);
}

function backOffMs({ maxAttempts, minDelayMs, maxDelayMs, random }: RetryOptions, attempt: number): number {
  const upperBoundMs = Math.max(minDelayMs, maxDelayMs / 2 ** Math.max(0, maxAttempts - 1 - attempt));
  return minDelayMs + random() * (upperBoundMs - minDelayMs);
}
