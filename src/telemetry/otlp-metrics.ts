import type { Attributes, HrTime } from "@opentelemetry/api";
import { ValueType } from "@opentelemetry/api";
import { hrTime, millisToHrTime } from "@opentelemetry/core";
import { emptyResource } from "@opentelemetry/resources";
import type { CollectionResult, DataPoint, Histogram, MetricData, MetricProducer } from "@opentelemetry/sdk-metrics";
import { AggregationTemporality, DataPointType } from "@opentelemetry/sdk-metrics";
import { METRIC_RPC_SERVER_CALL_DURATION } from "@opentelemetry/semantic-conventions";
import type { CallDurations, CallLabels } from "./call-metrics.ts";
import { CALL_SECONDS } from "./call-metrics.ts";
import type { Metrics } from "./metrics.ts";

export interface OtlpMetricsOptions {
  readonly metrics: Pick<Metrics, "read" | "callDurations">;
  /** The attributes of calls, as the semantic conventions define them. */
  readonly callAttributes: (labels: CallLabels, code: string) => Attributes;
}

/** A metric as prom-client reads it. */
interface PromMetric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly values: readonly PromSample[];
}

interface PromSample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  /** In a histogram, the name with the suffix `_bucket`, `_sum` or `_count`. */
  readonly metricName?: string;
}

const CUMULATIVE = { aggregationTemporality: AggregationTemporality.CUMULATIVE } as const;

/**
 * Reads the metrics that Prometheus scrapes, under the same names, so that nothing is counted twice. Adds
 * `rpc.server.call.duration`, which the semantic conventions define.
 */
export class OtlpMetrics implements MetricProducer {
  readonly #options: OtlpMetricsOptions;
  readonly #startTime = millisToHrTime(performance.timeOrigin);

  constructor(options: OtlpMetricsOptions) {
    this.#options = options;
  }

  async collect(): Promise<CollectionResult> {
    const { metrics, callAttributes } = this.#options;
    const times = { startTime: this.#startTime, endTime: hrTime() };
    const scraped = (await metrics.read()).filter(isPromMetric).map((metric) => toMetricData(metric, times));
    const calls = toCallDuration(metrics.callDurations(), callAttributes, times);
    const scopeMetrics = [{ scope: { name: "vehicle-service" }, metrics: [...scraped, calls] }];
    return { resourceMetrics: { resource: emptyResource(), scopeMetrics }, errors: [] };
  }
}

interface Times {
  readonly startTime: HrTime;
  readonly endTime: HrTime;
}

function isPromMetric(metric: object): metric is PromMetric {
  return "name" in metric && "help" in metric && "type" in metric && "values" in metric;
}

function toMetricData({ name, help, type, values }: PromMetric, times: Times): MetricData {
  const descriptor = { name, description: help, unit: "", valueType: ValueType.DOUBLE };
  if (type === "histogram") {
    const dataPoints = toHistograms(name, values, times);
    return { descriptor, ...CUMULATIVE, dataPointType: DataPointType.HISTOGRAM, dataPoints };
  }
  const dataPoints = values.map(({ labels, value }) => ({ ...times, attributes: labels, value }));
  return type === "counter"
    ? { descriptor, ...CUMULATIVE, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }
    : { descriptor, ...CUMULATIVE, dataPointType: DataPointType.GAUGE, dataPoints };
}

/** Converts cumulative buckets to separate ones: Prometheus counts a value in every larger bucket, OTLP in only one. */
function toHistograms(
  name: string,
  samples: readonly PromSample[],
  { startTime, endTime }: Times,
): DataPoint<Histogram>[] {
  const points = new Map<string, { attributes: Attributes; bounds: number[]; totals: number[]; sum: number }>();
  for (const { metricName, labels, value } of samples) {
    const { le, ...attributes } = labels;
    const key = JSON.stringify(attributes);
    const point = points.get(key) ?? { attributes, bounds: [], totals: [], sum: 0 };
    points.set(key, point);
    if (metricName === `${name}_sum`) {
      point.sum = value;
    } else if (le !== undefined) {
      point.totals.push(value);
      point.bounds.push(le === "+Inf" ? Infinity : Number(le));
    }
  }
  return [...points.values()].map(({ attributes, bounds, totals, sum }) => ({
    startTime,
    endTime,
    attributes,
    value: {
      buckets: {
        boundaries: bounds.filter(Number.isFinite),
        counts: totals.map((total, bucket) => total - (totals[bucket - 1] ?? 0)),
      },
      sum,
      count: totals.at(-1) ?? 0,
    },
  }));
}

function toCallDuration(
  durations: readonly CallDurations[],
  callAttributes: OtlpMetricsOptions["callAttributes"],
  { startTime, endTime }: Times,
): MetricData {
  return {
    descriptor: {
      name: METRIC_RPC_SERVER_CALL_DURATION,
      description: "Measures the duration of an incoming Remote Procedure Call (RPC).",
      unit: "s",
      valueType: ValueType.DOUBLE,
    },
    ...CUMULATIVE,
    dataPointType: DataPointType.HISTOGRAM,
    dataPoints: merged(durations, callAttributes).map(({ attributes, buckets, seconds }) => ({
      startTime,
      endTime,
      attributes,
      value: {
        buckets: { boundaries: CALL_SECONDS, counts: buckets },
        sum: seconds,
        count: buckets.reduce((sum, count) => sum + count, 0),
      },
    })),
  };
}

/** Adds up durations with the same attributes, such as those of gRPC and gRPC-Web, because points must be distinct. */
function merged(
  durations: readonly CallDurations[],
  callAttributes: OtlpMetricsOptions["callAttributes"],
): readonly { readonly attributes: Attributes; readonly buckets: number[]; readonly seconds: number }[] {
  const points = new Map<string, { attributes: Attributes; buckets: number[]; seconds: number }>();
  for (const { labels, code, buckets, seconds } of durations) {
    const attributes = callAttributes(labels, code);
    const key = JSON.stringify(attributes);
    const known = points.get(key);
    points.set(key, {
      attributes,
      buckets: buckets.map((count, bucket) => count + (known?.buckets[bucket] ?? 0)),
      seconds: seconds + (known?.seconds ?? 0),
    });
  }
  return [...points.values()];
}
