import type { Aggregator, MetricValueWithName } from "prom-client";
import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

/** Readers called at each scrape of the metrics. */
export interface MetricReaders {
  /** The version of this service. */
  readonly version: string;
  /** State of the vPIC source; undefined when vPIC is not a source. */
  readonly vpic: () => VpicReading | undefined;
  /** The date of the snapshot's data, such as `2026-02-17` or `2026-10`; undefined when it is not ready. */
  readonly snapshotDataDate: () => string | undefined;
  /** Cache operations that failed, or were skipped because of a fault, since the start. */
  readonly cacheFaults: () => { readonly reads: number; readonly writes: number };
  /** Calls in flight, and calls refused because too many were in flight, since the start. */
  readonly calls: () => { readonly inFlight: number; readonly refused: number };
  /** Connections refused since the start. */
  readonly refusedConnections: () => number;
}

/** Labels of calls. Each has few values. */
export interface CallLabels {
  /** Such as `unary` or `server_stream`. */
  readonly type: string;
  readonly service: string;
  readonly method: string;
  /** `grpc`, `grpc_web` or `connect`. */
  readonly protocol: string;
}

const BREAKER_STATES = ["closed", "half-open", "open"] as const;

/** State of the vPIC source. */
export interface VpicReading {
  readonly breaker: (typeof BREAKER_STATES)[number];
  /** Requests that the budget allows right now. */
  readonly availableRequests: number;
  /** Requests waiting for a slot or for the budget. */
  readonly waitingRequests: number;
  /** VINs waiting for others to share their request. */
  readonly gatheringVins: number;
  /** Requests in progress. */
  readonly runningRequests: number;
}

/** The metrics of one process at one time, as plain objects that can be sent to another process. */
export type MetricsReading = readonly object[];

/** Counts events and renders the metrics in the Prometheus text format. */
export interface Metrics {
  readonly contentType: string;
  render(): Promise<string>;
  read(): Promise<MetricsReading>;
  callStarted(labels: CallLabels): void;
  /** @param code as in Go, such as `OK` or `InvalidArgument` */
  callEnded(labels: CallLabels, code: string, seconds: number): void;
  /**
   * @param result `fresh`, `stale`, `decoded`, `not_decoded` or `failed`
   * @param source the source that decoded it, or `none`
   */
  lookedUp(result: string, source: string): void;
  /** @param outcome `answered`, `cancelled` or the kind of the fault */
  askedVpic(outcome: string, seconds: number): void;
}

const CALL_LABELS = ["grpc_type", "grpc_service", "grpc_method", "rpc_protocol"] as const;
const CALL_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const VPIC_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8];

/** Creates the metrics of the service and those of its Node process. */
export function createMetrics({
  version,
  vpic,
  snapshotDataDate,
  cacheFaults,
  calls: callsInFlight,
  refusedConnections,
}: MetricReaders): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, read: () => number | undefined, aggregator: Aggregator = "sum"): void => {
    const metric = new Gauge({
      name,
      help,
      aggregator,
      registers: [],
      collect() {
        const value = read();
        if (value !== undefined) {
          this.set(value);
        }
      },
    });
    registry.registerMetric(metric);
  };
  new Gauge({
    name: "vehicle_build_info",
    help: "1, with the version of this service as a label",
    labelNames: ["version"],
    aggregator: "first",
    registers: [registry],
  }).set({ version }, 1);
  for (const state of BREAKER_STATES) {
    const name = `vehicle_vpic_breaker_${state.replace("-", "_")}`;
    const read = (): number | undefined => {
      const reading = vpic();
      return reading === undefined ? undefined : Number(reading.breaker === state);
    };
    gauge(name, `1 while vPIC's circuit breaker is ${state}`, read, "max");
  }
  gauge(
    "vehicle_vpic_available_requests",
    "requests to vPIC that the budget allows now",
    () => vpic()?.availableRequests,
  );
  gauge(
    "vehicle_vpic_waiting_requests",
    "requests to vPIC that wait for a slot or for the budget",
    () => vpic()?.waitingRequests,
  );
  gauge("vehicle_vpic_gathering_vins", "VINs that wait to be sent to vPIC in one batch", () => vpic()?.gatheringVins);
  gauge("vehicle_vpic_running_requests", "requests to vPIC in progress", () => vpic()?.runningRequests);
  const readDataDate = (): number | undefined => {
    const date = snapshotDataDate();
    return date === undefined ? undefined : Date.parse(date) / 1_000;
  };
  gauge("vehicle_snapshot_data_date", "date of the snapshot's data, in seconds since the epoch", readDataDate, "min");
  gauge("vehicle_cache_read_faults", "cache reads that failed, since the start", () => cacheFaults().reads);
  gauge("vehicle_cache_write_faults", "cache writes that failed, since the start", () => cacheFaults().writes);
  gauge("vehicle_calls_in_flight", "calls that run or wait for their turn", () => callsInFlight().inFlight);
  gauge(
    "vehicle_calls_refused",
    "calls refused because too many were in flight, since the start",
    () => callsInFlight().refused,
  );
  gauge("vehicle_connections_refused", "connections refused, since the start", refusedConnections);
  const registers = [registry];
  const calls = new CallMetrics(registry);
  const lookups = new Map<string, Map<string, number>>();
  registry.registerMetric(
    new Counter({
      name: "vehicle_lookups_total",
      help: "VINs looked up, including those in batches",
      labelNames: ["result", "source"],
      registers: [],
      collect() {
        for (const [result, bySource] of lookups) {
          for (const [source, count] of bySource) {
            this.inc({ result, source }, count);
            bySource.set(source, 0);
          }
        }
      },
    }),
  );
  const vpicRequests = new Counter({
    name: "vpic_requests_total",
    help: "requests sent to vPIC",
    labelNames: ["outcome"],
    registers,
  });
  const vpicSeconds = new Histogram({
    name: "vpic_request_duration_seconds",
    help: "duration of requests to vPIC",
    buckets: VPIC_SECONDS,
    registers,
  });
  return {
    contentType: registry.contentType,
    render: async () => `${await registry.metrics()}\n${await renderSum([[calls.seconds()]])}`,
    read: async () => [...(await registry.getMetricsAsJSON()), calls.seconds()],
    callStarted: (labels) => calls.started(labels),
    callEnded: (labels, code, seconds) => calls.ended(labels, code, seconds),
    lookedUp(result, source) {
      const bySource = lookups.get(result) ?? new Map<string, number>();
      lookups.set(result, bySource);
      bySource.set(source, (bySource.get(source) ?? 0) + 1);
    },
    askedVpic(outcome, seconds) {
      vpicRequests.inc({ outcome });
      vpicSeconds.observe(seconds);
    },
  };
}

/** Calls of one kind. */
interface CallCount {
  readonly labels: Record<(typeof CALL_LABELS)[number], string>;
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
class CallMetrics {
  readonly #counts = new Map<CallLabels, CallCount>();

  constructor(registry: Registry) {
    const counts = this.#counts;
    registry.registerMetric(
      new Counter({
        name: "grpc_server_started_total",
        help: "calls started",
        labelNames: CALL_LABELS,
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
        name: "grpc_server_handled_total",
        help: "calls completed, by code",
        labelNames: [...CALL_LABELS, "grpc_code"],
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
    const name = "grpc_server_handling_seconds";
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
    const help = "duration of calls from the headers to the true end";
    return { name, help, type: "histogram", aggregator: "sum", values };
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

/**
 * Renders the metrics of several processes as those of one: counters and histograms are added up, gauges as their
 * `aggregator` says.
 */
export async function renderSum(readings: readonly MetricsReading[]): Promise<string> {
  return AggregatorRegistry.aggregate([...readings]).metrics();
}

/** Adds up what a process counted, after its end, so that no counter ever decreases. Its gauges are left out. */
export async function addCounts(readings: readonly MetricsReading[]): Promise<MetricsReading> {
  const counts = readings.map((reading) => reading.filter((metric) => "type" in metric && metric.type !== "gauge"));
  return AggregatorRegistry.aggregate(counts).getMetricsAsJSON();
}
