import type { MetricValueWithName, Registry } from "prom-client";
import { Counter } from "prom-client";
import { describe } from "./metric-list.ts";

/** Labels of calls. Each label has few values. */
export interface CallLabels {
  /** Such as `unary` or `server_stream`. */
  readonly type: string;
  readonly service: string;
  readonly method: string;
  /** `grpc`, `grpc_web` or `connect`. */
  readonly protocol: string;
}

/** The durations of calls with the same labels and code. */
export interface CallDurations {
  readonly labels: CallLabels;
  /** The name in Go, such as `OK` or `InvalidArgument`. */
  readonly code: string;
  /** Calls in each bucket of {@link CALL_SECONDS}, not cumulative. The last entry counts calls that took longer. */
  readonly buckets: readonly number[];
  /** The sum of the durations, in seconds. */
  readonly seconds: number;
}

/** The upper bounds of the histogram's buckets, in seconds. */
export const CALL_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * Counts for calls with the same labels. `started`, `calls` and `sentMessages` count since the last scrape, because
 * incrementing a Counter for each call would cost several times as much.
 */
interface CallCount {
  readonly named: Readonly<Record<string, string>>;
  started: number;
  sentMessages: number;
  readonly ended: Map<string, EndedCount>;
}

interface EndedCount extends CallDurations {
  readonly buckets: number[];
  seconds: number;
  calls: number;
}

/** Counts calls. The metrics have the names of go-grpc-middleware, because existing dashboards use them. */
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
            this.inc(count.named, count.started);
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
          for (const { named, ended } of counts.values()) {
            for (const [code, count] of ended) {
              this.inc({ ...named, grpc_code: code }, count.calls);
              count.calls = 0;
            }
          }
        },
      }),
    );
    registry.registerMetric(
      new Counter({
        ...describe("grpc_server_msg_sent_total"),
        registers: [],
        collect() {
          for (const count of counts.values()) {
            this.inc(count.named, count.sentMessages);
            count.sentMessages = 0;
          }
        },
      }),
    );
  }

  started(labels: CallLabels): void {
    this.#count(labels).started++;
  }

  ended(labels: CallLabels, code: string, seconds: number, sentMessages: number): void {
    const count = this.#count(labels);
    count.sentMessages += sentMessages;
    let ended = count.ended.get(code);
    if (ended === undefined) {
      const buckets = Array.from({ length: CALL_SECONDS.length + 1 }, () => 0);
      ended = { labels, code, buckets, seconds: 0, calls: 0 };
      count.ended.set(code, ended);
    }
    ended.calls++;
    ended.seconds += seconds;
    const fitting = CALL_SECONDS.findIndex((bound) => seconds <= bound);
    const bucket = fitting === -1 ? CALL_SECONDS.length : fitting;
    ended.buckets[bucket] = (ended.buckets[bucket] ?? 0) + 1;
  }

  /** The durations of all calls since the start. */
  durations(): readonly CallDurations[] {
    return this.#counts
      .values()
      .flatMap(({ ended }) => ended.values())
      .toArray();
  }

  /**
   * The histogram of durations. A Histogram of prom-client would cost as much as all other metrics of a call together.
   */
  seconds(): object {
    const { name, help, aggregator } = describe("grpc_server_handling_seconds");
    const values: MetricValueWithName<string>[] = [];
    for (const { named: labels, ended } of this.#counts.values()) {
      const byCode = [...ended.values()];
      let total = 0;
      for (let bucket = 0; bucket <= CALL_SECONDS.length; bucket++) {
        total += byCode.reduce((sum, { buckets }) => sum + (buckets[bucket] ?? 0), 0);
        values.push({
          metricName: `${name}_bucket`,
          labels: { le: CALL_SECONDS[bucket] ?? "+Inf", ...labels },
          value: total,
        });
      }
      values.push(
        { metricName: `${name}_sum`, labels, value: byCode.reduce((sum, { seconds }) => sum + seconds, 0) },
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
      found = { named, started: 0, sentMessages: 0, ended: new Map() };
      this.#counts.set(labels, found);
    }
    return found;
  }
}
