import type { Logger } from "../telemetry/logger.ts";
import { withAttemptTimeout } from "./attempt-timeout.ts";
import type { Batch } from "./batch.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import type { ConcurrencyLimit } from "./concurrency-limit.ts";
import { withConcurrencyLimit } from "./concurrency-limit.ts";
import type { RequestBudget } from "./request-budget.ts";
import { withRequestBudget } from "./request-budget.ts";
import { withRetry } from "./retry.ts";
import type { Call } from "./stop.ts";
import type { VpicObserver } from "./vpic-observer.ts";
import { withObserver } from "./vpic-observer.ts";
import { withWaitingLimit } from "./waiting-limit.ts";
import { withCircuitBreaker, withRefusal } from "./with-circuit-breaker.ts";

const WAITING_LIMIT_MS = 30_000;
const RETRY = { maxAttempts: 4, minDelayMs: 100, maxDelayMs: 1_500 };

export interface Policies {
  readonly breaker: CircuitBreaker;
  readonly limit: ConcurrencyLimit;
  readonly budget: RequestBudget;
  readonly attemptTimeoutMs: number;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly observer: VpicObserver;
  readonly logger: Logger;
}

/**
 * Wraps the bare request into all policies, outermost first. The budget stands inside of the concurrency limit: what
 * has its token is sent at once, so that vPIC sees no more in any stretch of time than the budget gives out.
 */
export function withPolicies(
  { breaker, limit, budget, attemptTimeoutMs, random, observer, logger }: Policies,
  ask: Call<Batch>,
): Call<Batch> {
  return withRefusal(
    breaker,
    withWaitingLimit(
      WAITING_LIMIT_MS,
      withRetry(
        { ...RETRY, random },
        withCircuitBreaker(
          breaker,
          withConcurrencyLimit(
            limit,
            withRequestBudget(budget, withObserver(observer, logger, withAttemptTimeout(attemptTimeoutMs, ask))),
          ),
        ),
      ),
    ),
  );
}
