import type { Logger } from "../telemetry/logger.ts";
import type { Batch } from "./batch.ts";
import type { BreakerState } from "./circuit-breaker.ts";
import type { Call } from "./stop.ts";
import type { VpicFaultKind } from "./vpic-fault.ts";
import { VpicFault } from "./vpic-fault.ts";

/** One request to vPIC, and what became of it. */
export interface VpicAttempt {
  /** How many VINs were asked for. */
  readonly vins: number;
  readonly durationMs: number;
  /** `cancelled`: nobody waited any more. */
  readonly outcome: "answered" | "cancelled" | VpicFaultKind;
  /** The HTTP status, when it was the reason of a fault. */
  readonly status: number | undefined;
}

/** Is told what the source does, for metrics. */
export interface VpicObserver {
  attempted?(attempt: VpicAttempt): void;
  breakerChanged?(state: BreakerState): void;
}

/** Reports every attempt to the observer, and those that failed to the log. */
export function withObserver(observer: VpicObserver, logger: Logger, call: Call<Batch>): Call<Batch> {
  return async (batch, stop) => {
    const vins = batch.openQuestions.length;
    const startedAt = performance.now();
    const report = (outcome: VpicAttempt["outcome"], status?: number): void =>
      observer.attempted?.({ vins, durationMs: performance.now() - startedAt, outcome, status });
    try {
      await call(batch, stop);
      report("answered");
    } catch (error) {
      if (error instanceof VpicFault) {
        report(error.kind, error.status);
        logger.debug("an attempt to ask vPIC failed", { vins, kind: error.kind, status: error.status, err: error });
      } else {
        report("cancelled");
      }
      throw error;
    }
  };
}

/** Makes what tells observer and log of changes of the breaker. */
export function toBreakerListener(observer: VpicObserver, logger: Logger): (state: BreakerState) => void {
  return (state) => {
    observer.breakerChanged?.(state);
    if (state === "open") {
      logger.warn("vPIC fails and is left alone for a while");
    } else if (state === "closed") {
      logger.info("vPIC answers again");
    }
  };
}
