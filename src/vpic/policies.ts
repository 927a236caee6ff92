import type { Logger } from "../telemetry/logger.ts";
import type { TracedRequest } from "../telemetry/request-context.ts";
import type { Call } from "./call.ts";
import type { CircuitBreaker, Probes } from "./circuit-breaker.ts";
import { withCircuitBreaker, withRefusal } from "./circuit-breaker.ts";
import type { ConcurrencyLimit } from "./concurrency-limit.ts";
import { withConcurrencyLimit } from "./concurrency-limit.ts";
import type { Batch } from "./gatherer.ts";
import type { RequestBudget } from "./request-budget.ts";
import { withRequestBudget } from "./request-budget.ts";
import type { VinCooldown } from "./vin-cooldown.ts";
import { withRetry } from "./retry.ts";
import { withAttemptTimeout, withWaitingLimit } from "./time-limits.ts";
import type { VpicErrorKind } from "./vpic-error.ts";
import { VpicError } from "./vpic-error.ts";

const WAITING_LIMIT_MS = 30_000;
const RETRY = { maxAttempts: 4, minDelayMs: 100, maxDelayMs: 1_500 };

/** One request to vPIC, and how it ended. */
export interface VpicAttempt {
  /** The number of VINs in it. */
  readonly vins: number;
  /** On the monotonic clock. */
  readonly startedAt: number;
  readonly durationMs: number;
  /** `cancelled`: no caller was waiting for it any more. */
  readonly outcome: "answered" | "cancelled" | VpicErrorKind;
  /** The HTTP status, when it was the reason of a failure. */
  readonly status: number | undefined;
  /** Why it failed; undefined when it was answered. */
  readonly error: Error | undefined;
  /** The traced requests that it was for. */
  readonly tracedRequests: ReadonlySet<TracedRequest>;
}

export interface Policies {
  readonly breaker: CircuitBreaker;
  /** Default: this process probes alone. */
  readonly probes: Probes | undefined;
  readonly limit: ConcurrencyLimit;
  readonly budget: RequestBudget;
  readonly cooldown: VinCooldown;
  readonly attemptTimeoutMs: number;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly onAttempt: (attempt: VpicAttempt) => void;
  readonly logger: Logger;
}

/**
 * Wraps the bare request in all policies, outermost first. The budget is inside the concurrency limit: a request that
 * has a token is sent at once, so vPIC never receives more in any period than the budget allows.
 */
export function withPolicies(
  { breaker, probes, limit, budget, cooldown, attemptTimeoutMs, random, onAttempt, logger }: Policies,
  ask: Call<Batch>,
): Call<Batch> {
  return withRefusal(
    breaker,
    withWaitingLimit(
      WAITING_LIMIT_MS,
      withRetry(
        { ...RETRY, random, onExhausted: ({ openVins }) => cooldown.add(openVins) },
        withCircuitBreaker(
          breaker,
          withConcurrencyLimit(
            limit,
            withRequestBudget(budget, withReport(onAttempt, logger, withAttemptTimeout(attemptTimeoutMs, ask))),
          ),
          probes,
        ),
      ),
    ),
  );
}

/** Reports every attempt, and logs those that failed. */
function withReport(onAttempt: (attempt: VpicAttempt) => void, logger: Logger, call: Call<Batch>): Call<Batch> {
  return async (batch, stop) => {
    const questions = batch.openQuestions;
    const vins = questions.length;
    const tracedRequests = new Set(questions.flatMap(({ tracedRequest }) => tracedRequest ?? []));
    const startedAt = performance.now();
    const report = (outcome: VpicAttempt["outcome"], error?: VpicError): void => {
      const durationMs = performance.now() - startedAt;
      onAttempt({ vins, startedAt, durationMs, outcome, status: error?.status, error, tracedRequests });
    };
    try {
      await call(batch, stop);
      report("answered");
    } catch (error) {
      if (error instanceof VpicError) {
        report(error.kind, error);
        logger.debug("a request to vPIC failed", { vins, kind: error.kind, status: error.status, err: error });
      } else {
        report("cancelled");
      }
      throw error;
    }
  };
}
