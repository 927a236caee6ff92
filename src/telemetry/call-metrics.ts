import type { MetricValueWithName, Registry } from "prom-client";
import { Counter } from "prom-client";
import { describe } from "./metric-list.ts";

/** Labels of calls. Each has few values. */
export interface CallLabels {
  /** Such as `unary` or `server_stream`. */
  readonly type: string;
  readonly service: string;
  readonly method: string;
  /** `grpc`, `grpc_web` or `connect`. */
  readonly protocol: string;
}

const CALL_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Calls of one kind. */
interface CallCount {
  readonly labels: Readonly<Record<string, string>>;
  /**
   * Since the last scrape, like the counts by code: incrementing a Counter for each call would cost several times as
   * much.
   */
  started: number;
  readonly handled: Map<string, number>;
  /** The number of calls in each bucket of {@link CALL_SECONDS}, not cumulative; the last entry counts longer calls. */
  readonly buckets: number[];
  seconds: number;
}

/** Counts calls under the names of go-grpc-middleware, because existing dashboards use them. */
export class CallMetrics {
  readonly #counts = new Map<CallLabels, CallCount>();

  constructor(registry: Registry) {
    const counts = this.#counts;
    registry.registerMetric(
      new Counter({
        ...describe("grpc_server_started_total"),
        registers: [],
        collect() {
          for (const count of counts.values()) {
            this.inc(count.labels, count.started);
            count.started = 0;
          }
        },
      }),
    );
    registry.registerMetric(
      new Counter({
        ...describe("grpc_server_handled_total"),
        registers: [],
        collect() {
          for (const { labels, handled } of counts.values()) {
            for (const [code, count] of handled) {
              this.inc({ ...labels, grpc_code: code }, count);
              handled.set(code, 0);
            }
          }
        },
      }),
    );
  }

  started(labels: CallLabels): void {
    this.#count(labels).started++;
  }

  ended(labels: CallLabels, code: string, seconds: number): void {
    const count = this.#count(labels);
    count.handled.set(code, (count.handled.get(code) ?? 0) + 1);
    count.seconds += seconds;
    const fitting = CALL_SECONDS.findIndex((bound) => seconds <= bound);
    const bucket = fitting === -1 ? CALL_SECONDS.length : fitting;
    count.buckets[bucket] = (count.buckets[bucket] ?? 0) + 1;
  }

  /**
   * The histogram of durations. prom-client's own would cost each call as much as all other metrics together.
   */
  seconds(): object {
    const { name, help, aggregator } = describe("grpc_server_handling_seconds");
    const values: MetricValueWithName<string>[] = [];
    for (const { labels, buckets, seconds } of this.#counts.values()) {
      let total = 0;
      for (const [index, count] of buckets.entries()) {
        total += count;
        values.push({
          metricName: `${name}_bucket`,
          labels: { le: CALL_SECONDS[index] ?? "+Inf", ...labels },
          value: total,
        });
      }
      values.push(
        { metricName: `${name}_sum`, labels, value: seconds },
        { metricName: `${name}_count`, labels, value: total },
      );
    }
    return { name, help, type: "histogram", aggregator, values };
  }

  #count(labels: CallLabels): CallCount {
    let found = this.#counts.get(labels);
    if (found === undefined) {
      const named = {
        grpc_type: labels.type,
        grpc_service: labels.service,
        grpc_method: labels.method,
        rpc_protocol: labels.protocol,
      };
      const buckets = Array.from({ length: CALL_SECONDS.length + 1 }, () => 0);
      found = { labels: named, started: 0, handled: new Map(), buckets, seconds: 0 };
      this.#counts.set(labels, found);
    }
    return found;
  }
}
