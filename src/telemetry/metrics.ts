import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { CallDurations, CallLabels } from "./call-metrics.ts";
import { CallMetrics } from "./call-metrics.ts";
import type { MetricName } from "./metric-list.ts";
import { describe, METRICS } from "./metric-list.ts";

/** Functions that are called at each scrape of the metrics. They return totals since the start. */
export interface MetricReaders {
  /** The version of this service. */
  readonly version: string;
  /** State of the vPIC source; undefined when vPIC is not a source. */
  readonly vpic: () => VpicReading | undefined;
  /** The date of the snapshot's data, such as `2026-02-17` or `2026-10`; undefined when it is not ready. */
  readonly snapshotDataDate: () => string | undefined;
  readonly cache: () => CacheReading;
  /** Whether the service is ready, and whether each part is degraded. */
  readonly health: () => { readonly isReady: boolean; readonly degraded: Readonly<Record<string, boolean>> };
  /** Calls in flight, and calls refused because too many were in flight. */
  readonly calls: () => { readonly inFlight: number; readonly refused: number };
  readonly connections: () => { readonly open: number; readonly refused: number };
  /** The tokens in use; undefined without a tokens file. */
  readonly tokens: () => { readonly count: number; readonly isFileFaulty: boolean } | undefined;
  /** The certificate in use; undefined without TLS. */
  readonly certificate: () => { readonly validTo: Date; readonly areFilesFaulty: boolean } | undefined;
}

const BREAKER_STATES = ["closed", "half-open", "open"] as const;

/** State of the vPIC source. */
export interface VpicReading {
  readonly breaker: (typeof BREAKER_STATES)[number];
  /** Requests that the budget allows right now. */
  readonly availableRequests: number;
  /** Requests waiting for a slot or for the budget. */
  readonly waitingRequests: number;
  /** VINs that wait for others, to share one request with them. */
  readonly gatheringVins: number;
  /** Requests in progress. */
  readonly runningRequests: number;
}

/** The values of one process's metrics at one time, as plain objects that can be sent to another process. */
export type MetricsReading = readonly object[];

/** State of the cache. */
interface CacheReading {
  /** Whether its database answers. */
  readonly isUp: boolean;
  /** Operations that failed or were skipped because of a fault. */
  readonly faults: { readonly reads: number; readonly writes: number; readonly removals: number };
  /** The contents of the cache; undefined until they have been counted. */
  readonly contents:
    | {
        readonly entries: readonly { readonly source: string; readonly isNegative: boolean; readonly count: number }[];
        readonly bytes: number;
      }
    | undefined;
}

/** Counts events and renders the metrics in the Prometheus text format. */
export interface Metrics {
  readonly contentType: string;
  render(): Promise<string>;
  read(): Promise<MetricsReading>;
  callStarted(labels: CallLabels): void;
  /**
   * @param code the name in Go, such as `OK` or `InvalidArgument`
   * @param sentMessages number of messages that the caller got
   */
  callEnded(labels: CallLabels, code: string, seconds: number, sentMessages: number): void;
  /** The durations of calls since the start, by labels and code. */
  callDurations(): readonly CallDurations[];
  /**
   * @param result `fresh`, `stale`, `decoded`, `not_decoded` or `failed`
   * @param source the source that decoded the VIN, or `none`
   */
  lookedUp(result: string, source: string): void;
  /** @param outcome `answered`, `cancelled` or the kind of the fault */
  askedVpic(outcome: string, seconds: number): void;
  exported(file: { readonly rowCount: number; readonly sizeBytes: number }): void;
}

const VPIC_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8];

/** A value, values by labels, or undefined when there is none. */
type Reading = number | undefined | readonly (readonly [labels: Record<string, string>, value: number])[];

/** The metrics whose values are read at each scrape, and how. */
const READ: readonly (readonly [name: MetricName, read: (readers: MetricReaders) => Reading])[] = [
  ["vehicle_ready", ({ health }) => Number(health().isReady)],
  [
    "vehicle_degraded",
    ({ health }) => Object.entries(health().degraded).map(([reason, is]) => [{ reason }, Number(is)]),
  ],
  ["vehicle_calls_in_flight", ({ calls }) => calls().inFlight],
  ["vehicle_calls_refused_total", ({ calls }) => calls().refused],
  ["vehicle_connections_open", ({ connections }) => connections().open],
  ["vehicle_connections_refused_total", ({ connections }) => connections().refused],
  ["vehicle_cache_up", ({ cache }) => Number(cache().isUp)],
  [
    "vehicle_cache_entries",
    ({ cache }) =>
      cache().contents?.entries.map(({ source, isNegative, count }) => [
        { source, state: isNegative ? "not_decoded" : "decoded" },
        count,
      ]),
  ],
  ["vehicle_cache_bytes", ({ cache }) => cache().contents?.bytes],
  [
    "vehicle_cache_faults_total",
    ({ cache }) => {
      const { reads, writes, removals } = cache().faults;
      return [
        [{ operation: "read" }, reads],
        [{ operation: "write" }, writes],
        [{ operation: "remove" }, removals],
      ];
    },
  ],
  ["vehicle_vpic_breaker_closed", ({ vpic }) => isInState(vpic(), "closed")],
  ["vehicle_vpic_breaker_half_open", ({ vpic }) => isInState(vpic(), "half-open")],
  ["vehicle_vpic_breaker_open", ({ vpic }) => isInState(vpic(), "open")],
  ["vehicle_vpic_available_requests", ({ vpic }) => vpic()?.availableRequests],
  ["vehicle_vpic_waiting_requests", ({ vpic }) => vpic()?.waitingRequests],
  ["vehicle_vpic_gathering_vins", ({ vpic }) => vpic()?.gatheringVins],
  ["vehicle_vpic_running_requests", ({ vpic }) => vpic()?.runningRequests],
  ["vehicle_snapshot_data_date", ({ snapshotDataDate }) => toSeconds(Date.parse(snapshotDataDate() ?? ""))],
  ["vehicle_tokens_loaded", ({ tokens }) => tokens()?.count],
  ["vehicle_tokens_file_faulty", ({ tokens }) => toNumber(tokens()?.isFileFaulty)],
  [
    "vehicle_certificate_expiry_timestamp_seconds",
    ({ certificate }) => toSeconds(certificate()?.validTo.getTime() ?? Number.NaN),
  ],
  ["vehicle_tls_files_faulty", ({ certificate }) => toNumber(certificate()?.areFilesFaulty)],
  ["vehicle_build_info", ({ version }) => [[{ version }, 1]]],
];

function isInState(vpic: VpicReading | undefined, state: VpicReading["breaker"]): number | undefined {
  return toNumber(vpic && vpic.breaker === state);
}

function toNumber(value: boolean | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}

function toSeconds(ms: number): number | undefined {
  return Number.isNaN(ms) ? undefined : ms / 1_000;
}

/** Creates the metrics of the service and those of its Node process. */
export function createMetrics(readers: MetricReaders): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const calls = new CallMetrics(registry);
  for (const [name, read] of READ) {
    registry.registerMetric(createReadMetric(name, () => read(readers)));
  }
  const lookups = new Map<string, Map<string, number>>();
  registry.registerMetric(
    new Counter({
      ...describe("vehicle_lookups_total"),
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
  const vpicRequests = new Counter({ ...describe("vpic_requests_total"), registers });
  const vpicSeconds = new Histogram({ ...describe("vpic_request_duration_seconds"), buckets: VPIC_SECONDS, registers });
  const exports = new Counter({ ...describe("vehicle_exports_total"), registers });
  const exportedRows = new Counter({ ...describe("vehicle_export_rows_total"), registers });
  const exportedBytes = new Counter({ ...describe("vehicle_export_bytes_total"), registers });
  return {
    contentType: registry.contentType,
    render: async () => `${await registry.metrics()}\n${await renderSum([[calls.seconds()]])}`,
    read: async () => [...(await registry.getMetricsAsJSON()), calls.seconds()],
    callStarted: (labels) => calls.started(labels),
    callEnded: (labels, code, seconds, sentMessages) => calls.ended(labels, code, seconds, sentMessages),
    callDurations: () => calls.durations(),
    lookedUp(result, source) {
      const bySource = lookups.get(result) ?? new Map<string, number>();
      lookups.set(result, bySource);
      bySource.set(source, (bySource.get(source) ?? 0) + 1);
    },
    askedVpic(outcome, seconds) {
      vpicRequests.inc({ outcome });
      vpicSeconds.observe(seconds);
    },
    exported({ rowCount, sizeBytes }) {
      exports.inc();
      exportedRows.inc(rowCount);
      exportedBytes.inc(sizeBytes);
    },
  };
}

/** Creates a gauge, or a counter whose total is kept elsewhere. It has no sample while there is no value. */
function createReadMetric(name: MetricName, read: () => Reading): Gauge | Counter {
  const samples = (): readonly (readonly [Record<string, string>, number])[] => {
    const reading = read();
    return typeof reading === "number" ? [[{}, reading]] : (reading ?? []);
  };
  const options = { ...describe(name), registers: [] };
  if (METRICS[name].type === "counter") {
    return new Counter({
      ...options,
      collect() {
        this.reset();
        samples().forEach(([labels, value]) => this.inc(labels, value));
      },
    });
  }
  return new Gauge({
    ...options,
    collect() {
      this.reset();
      // Otherwise, a gauge without labels would start at 0.
      this.remove({});
      samples().forEach(([labels, value]) => this.set(labels, value));
    },
  });
}

/**
 * Renders the metrics of several processes as those of one. Counters and histograms are added up. Gauges are combined
 * by their `aggregator`.
 */
export async function renderSum(readings: readonly MetricsReading[]): Promise<string> {
  return AggregatorRegistry.aggregate([...readings]).metrics();
}

/** Adds the counters of processes that have ended, so that no counter ever decreases. Gauges are left out. */
export async function addCounts(readings: readonly MetricsReading[]): Promise<MetricsReading> {
  const counts = readings.map((reading) => reading.filter((metric) => "type" in metric && metric.type !== "gauge"));
  return AggregatorRegistry.aggregate(counts).getMetricsAsJSON();
}
