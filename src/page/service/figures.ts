import type { Metric } from "./prometheus.ts";

/** The metrics of one moment. */
export interface Reading {
  /** In ms. */
  readonly at: number;
  readonly metrics: readonly Metric[];
}

/** What happened between two readings, and how things stood at the second. Undefined where nothing happened. */
export interface Figures {
  /** In seconds since the epoch. */
  readonly at: number;
  /** Look-ups per second. */
  readonly lookups: number;
  /** Look-ups per second that the cache answered. */
  readonly hits: number;
  /** In seconds: half of the Lookups were quicker. */
  readonly median: number | undefined;
  /** In seconds: 99 of 100 Lookups were quicker. */
  readonly slowest: number | undefined;
  /** Requests to vPIC a second. */
  readonly vpicRequests: number;
  /** In seconds: half of the requests to vPIC were quicker. */
  readonly vpicMedian: number | undefined;
  /** Calls that run or wait. */
  readonly inFlight: number;
  /** VINs and requests that wait to be sent to vPIC. */
  readonly waitingForVpic: number;
}

/** Calls of one method that ended with one code. */
export interface CallCount {
  readonly method: string;
  readonly code: string;
  readonly total: number;
  /** Undefined when there is only one reading. */
  readonly perSecond: number | undefined;
}

type Labels = Readonly<Record<string, string>>;

const SERVICE = "vehicle.v1.VehicleService";
const LOOKUP: Labels = { grpc_service: SERVICE, grpc_method: "Lookup" };
const FROM_CACHE = new Set(["fresh", "stale"]);

/** The figures of the time from one reading to the next. */
export function figuresOf(before: Reading, now: Reading): Figures {
  const seconds = (now.at - before.at) / 1_000;
  const rateOf = (name: string, labels: Labels = {}): number =>
    Math.max(0, sumOf(now.metrics, name, labels) - sumOf(before.metrics, name, labels)) / seconds;
  const hits = [...FROM_CACHE].reduce((sum, result) => sum + rateOf("vehicle_lookups_total", { result }), 0);
  return {
    at: now.at / 1_000,
    lookups: rateOf("vehicle_lookups_total"),
    hits,
    median: quantileOf(before, now, "grpc_server_handling_seconds", LOOKUP, 0.5),
    slowest: quantileOf(before, now, "grpc_server_handling_seconds", LOOKUP, 0.99),
    vpicRequests: rateOf("vpic_requests_total"),
    vpicMedian: quantileOf(before, now, "vpic_request_duration_seconds", {}, 0.5),
    inFlight: sumOf(now.metrics, "vehicle_calls_in_flight"),
    waitingForVpic:
      sumOf(now.metrics, "vehicle_vpic_waiting_requests") + sumOf(now.metrics, "vehicle_vpic_gathering_vins"),
  };
}

/** The calls of VehicleService by method and code, the most frequent first. */
export function callsOf(before: Reading, now: Reading): CallCount[] {
  const seconds = (now.at - before.at) / 1_000;
  const byKey = Map.groupBy(
    now.metrics.filter(
      ({ name, labels }) => name === "grpc_server_handled_total" && labels["grpc_service"] === SERVICE,
    ),
    ({ labels }) => `${labels["grpc_method"]} ${labels["grpc_code"]}`,
  );
  const counts = [...byKey.values()].map((alike) => {
    const { grpc_method: method = "", grpc_code: code = "" } = alike[0]?.labels ?? {};
    const labels = { grpc_service: SERVICE, grpc_method: method, grpc_code: code };
    const total = sumOf(now.metrics, "grpc_server_handled_total", labels);
    const earlier = sumOf(before.metrics, "grpc_server_handled_total", labels);
    return { method, code, total, perSecond: seconds > 0 ? Math.max(0, total - earlier) / seconds : undefined };
  });
  return counts.toSorted((one, other) => other.total - one.total);
}

/** The part of all look-ups since the start that the cache answered; undefined when there was none. */
export function hitRatioOf({ metrics }: Reading): number | undefined {
  const all = sumOf(metrics, "vehicle_lookups_total");
  const hits = [...FROM_CACHE].reduce((sum, result) => sum + sumOf(metrics, "vehicle_lookups_total", { result }), 0);
  return all === 0 ? undefined : hits / all;
}

/** The state of vPIC's circuit breaker; undefined when vPIC is not a source. */
export function breakerOf({ metrics }: Reading): "closed" | "half-open" | "open" | undefined {
  const states = ["closed", "half-open", "open"] as const;
  return states.find((state) => sumOf(metrics, `vehicle_vpic_breaker_${state.replace("-", "_")}`) > 0);
}

/** The sum of a metric over all its labels but those given. */
export function sumOf(metrics: readonly Metric[], name: string, labels: Labels = {}): number {
  const wanted = Object.entries(labels);
  return metrics
    .filter((metric) => metric.name === name && wanted.every(([label, value]) => metric.labels[label] === value))
    .reduce((sum, { value }) => sum + value, 0);
}

/**
 * A quantile of a histogram over the time between two readings, as Prometheus reckons it: evenly within a bucket.
 *
 * @returns undefined when nothing was measured
 */
function quantileOf(before: Reading, now: Reading, name: string, labels: Labels, quantile: number): number | undefined {
  const bounds = [
    ...new Set(now.metrics.flatMap((metric) => (metric.name === `${name}_bucket` ? (metric.labels["le"] ?? []) : []))),
  ];
  const buckets = bounds
    .map((le) => ({
      upTo: le === "+Inf" ? Infinity : Number(le),
      count:
        sumOf(now.metrics, `${name}_bucket`, { ...labels, le }) -
        sumOf(before.metrics, `${name}_bucket`, { ...labels, le }),
    }))
    .toSorted((one, other) => one.upTo - other.upTo);
  const total = buckets.at(-1)?.count ?? 0;
  if (total <= 0) {
    return undefined;
  }
  const rank = quantile * total;
  const index = buckets.findIndex(({ count }) => count >= rank);
  const { upTo = 0, count = 0 } = buckets[index] ?? {};
  const below = buckets[index - 1] ?? { upTo: 0, count: 0 };
  return upTo === Infinity
    ? below.upTo
    : below.upTo + ((upTo - below.upTo) * (rank - below.count)) / (count - below.count);
}
