import type { Aggregator } from "prom-client";

/** A metric of the service. */
export interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  /** A description of the metric, for the docs and the scrape. */
  readonly help: string;
  /** The labels and their values. A text describes values that are not known here. */
  readonly labels?: Readonly<Record<string, readonly string[] | string>>;
  /** How the values of several processes are combined. Default: the sum. */
  readonly aggregator?: Aggregator;
}

/** The values of `grpc_code`. */
const CODES = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
];

const CALL = {
  grpc_type: ["unary", "client_stream", "server_stream", "bidi_stream"],
  grpc_service: "the services of this server",
  grpc_method: "their methods",
  rpc_protocol: ["grpc", "grpc_web", "connect"],
};

/**
 * Every metric of the service, in the order of docs/metrics.md, which is generated from this list. Each label has a
 * fixed set of values, so VINs, callers, addresses and texts from clients must never be values.
 */
export const METRICS = {
  grpc_server_started_total: { type: "counter", help: "calls started", labels: CALL },
  grpc_server_handled_total: { type: "counter", help: "calls ended, by code", labels: { ...CALL, grpc_code: CODES } },
  grpc_server_msg_sent_total: {
    type: "counter",
    help: "messages sent by calls that have ended",
    labels: CALL,
  },
  grpc_server_handling_seconds: {
    type: "histogram",
    help: "duration of calls, from the request's headers to the end of the call",
    labels: CALL,
  },
  vehicle_ready: { type: "gauge", aggregator: "min", help: "1 while `/readyz` answers 200, otherwise 0" },
  vehicle_degraded: {
    type: "gauge",
    aggregator: "max",
    help: "1 while this part does not work, otherwise 0",
    labels: { reason: ["cache", "vpic", "snapshot", "tokens_file", "tls_files"] },
  },
  vehicle_calls_in_flight: { type: "gauge", help: "calls that run or wait for their turn" },
  vehicle_calls_refused_total: { type: "counter", help: "calls refused because too many were in flight" },
  vehicle_connections_open: { type: "gauge", help: "open connections" },
  vehicle_connections_refused_total: {
    type: "counter",
    help: "connections refused because one address, or all together, had too many",
  },
  vehicle_lookups_total: {
    type: "counter",
    help: "VINs looked up, including those in batches; malformed ones count as failed",
    labels: {
      result: ["fresh", "stale", "decoded", "not_decoded", "failed"],
      source: ["vpic", "snapshot", "none"],
    },
  },
  vehicle_cache_up: { type: "gauge", aggregator: "min", help: "1 while the cache database answers, otherwise 0" },
  vehicle_cache_entries: {
    type: "gauge",
    aggregator: "max",
    help: "entries in the cache, counted in the background at most once a minute; with a shared database, those of all replicas",
    labels: { source: ["vpic", "snapshot"], state: ["decoded", "not_decoded"] },
  },
  vehicle_cache_bytes: {
    type: "gauge",
    aggregator: "max",
    help: "size of the cache in its database, counted at the same time",
  },
  vehicle_cache_faults_total: {
    type: "counter",
    help: "cache operations that failed, or were skipped because of a fault",
    labels: { operation: ["read", "write", "remove"] },
  },
  vpic_requests_total: {
    type: "counter",
    help: "requests sent to vPIC, by outcome",
    labels: {
      outcome: ["answered", "cancelled", "network", "timeout", "status", "too-large", "foreign", "missing-row"],
    },
  },
  vpic_request_duration_seconds: { type: "histogram", help: "duration of requests to vPIC" },
  vehicle_vpic_breaker_closed: { type: "gauge", aggregator: "max", help: "1 while vPIC's circuit breaker is closed" },
  vehicle_vpic_breaker_half_open: {
    type: "gauge",
    aggregator: "max",
    help: "1 while vPIC's circuit breaker is half-open",
  },
  vehicle_vpic_breaker_open: { type: "gauge", aggregator: "max", help: "1 while vPIC's circuit breaker is open" },
  vehicle_vpic_available_requests: { type: "gauge", help: "requests to vPIC that the budget allows now" },
  vehicle_vpic_waiting_requests: { type: "gauge", help: "requests to vPIC that wait for a slot or for the budget" },
  vehicle_vpic_gathering_vins: { type: "gauge", help: "VINs that wait to be sent to vPIC in one batch" },
  vehicle_vpic_running_requests: { type: "gauge", help: "requests to vPIC in progress" },
  vehicle_snapshot_data_date: {
    type: "gauge",
    aggregator: "min",
    help: "date of the snapshot's data, in seconds since the epoch",
  },
  vehicle_exports_total: { type: "counter", help: "export files written" },
  vehicle_export_rows_total: { type: "counter", help: "vehicles in these files" },
  vehicle_export_bytes_total: { type: "counter", help: "size of these files, in bytes" },
  vehicle_tokens_loaded: {
    type: "gauge",
    aggregator: "min",
    help: "tokens in use, expired ones included; absent without a tokens file",
  },
  vehicle_tokens_file_faulty: {
    type: "gauge",
    aggregator: "max",
    help: "1 while the tokens file is not usable and the previous tokens remain in use",
  },
  vehicle_certificate_expiry_timestamp_seconds: {
    type: "gauge",
    aggregator: "min",
    help: "expiry of the TLS certificate in use, in seconds since the epoch; absent without TLS",
  },
  vehicle_tls_files_faulty: {
    type: "gauge",
    aggregator: "max",
    help: "1 while the TLS files are not usable and the previous ones remain in use",
  },
  vehicle_build_info: {
    type: "gauge",
    aggregator: "first",
    help: "always 1",
    labels: { version: "the version of the service" },
  },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;

/** The options of a metric for prom-client's constructors. */
export function describe(name: MetricName): {
  name: string;
  help: string;
  labelNames: string[];
  aggregator: Aggregator;
} {
  const { help, labels = {}, aggregator = "sum" }: MetricDefinition = METRICS[name];
  return { name, help, labelNames: Object.keys(labels), aggregator };
}
