import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

/** What is read for each scrape of the metrics. */
export interface MetricReaders {
  /** The version of this service. */
  readonly version: string;
  /** State of the vPIC source; undefined when vPIC is not a source. */
  readonly vpic: () => VpicReading | undefined;
  /** Cache operations that failed, or were skipped because of a fault, since the start. */
  readonly cacheFaults: () => { readonly reads: number; readonly writes: number };
  /** Calls in flight, and calls refused for want of a place since the start. */
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

interface VpicReading {
  readonly breaker: string;
  readonly availableRequests: number;
  readonly waitingRequests: number;
  readonly gatheringVins: number;
  readonly runningRequests: number;
}

const BREAKER_STATES = ["closed", "half-open", "open"] as const;

/** Counts, and renders the metrics in the text format of Prometheus. */
export interface Metrics {
  readonly contentType: string;
  render(): Promise<string>;
  callStarted(labels: CallLabels): void;
  /** @param code as Go spells it, such as `OK` or `InvalidArgument` */
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
export function createMetrics({ version, vpic, cacheFaults, calls, refusedConnections }: MetricReaders): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, read: () => number | undefined): void => {
    const metric = new Gauge({
      name,
      help,
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
    registers: [registry],
  }).set({ version }, 1);
  for (const state of BREAKER_STATES) {
    const name = `vehicle_vpic_breaker_${state.replace("-", "_")}`;
    gauge(name, `1 while vPIC's circuit breaker is ${state}`, () => {
      const reading = vpic();
      return reading === undefined ? undefined : Number(reading.breaker === state);
    });
  }
  gauge(
    "vehicle_vpic_available_requests",
    "requests to vPIC that the budget allows now",
    () => vpic()?.availableRequests,
  );
  gauge(
    "vehicle_vpic_waiting_requests",
    "requests to vPIC that wait for a place or for the budget",
    () => vpic()?.waitingRequests,
  );
  gauge("vehicle_vpic_gathering_vins", "VINs that wait to be sent to vPIC in one batch", () => vpic()?.gatheringVins);
  gauge("vehicle_vpic_running_requests", "requests to vPIC in progress", () => vpic()?.runningRequests);
  gauge("vehicle_cache_read_faults", "cache reads that failed, since the start", () => cacheFaults().reads);
  gauge("vehicle_cache_write_faults", "cache writes that failed, since the start", () => cacheFaults().writes);
  gauge("vehicle_calls_in_flight", "calls that run or wait for their turn", () => calls().inFlight);
  gauge(
    "vehicle_calls_refused",
    "calls refused because too many were in flight, since the start",
    () => calls().refused,
  );
  gauge("vehicle_connections_refused", "connections refused, since the start", refusedConnections);
  const registers = [registry];
  const lookups = new Counter({
    name: "vehicle_lookups_total",
    help: "VINs looked up, including those in batches",
    labelNames: ["result", "source"],
    registers,
  });
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
    render: () => registry.metrics(),
    ...createCallMetrics(registers),
    lookedUp: (result, source) => lookups.inc({ result, source }),
    askedVpic(outcome, seconds) {
      vpicRequests.inc({ outcome });
      vpicSeconds.observe(seconds);
    },
  };
}

/** Uses the names of go-grpc-middleware, because existing dashboards use them. */
function createCallMetrics(registers: Registry[]): Pick<Metrics, "callStarted" | "callEnded"> {
  const countOf = new Map<CallLabels, CallCount>();
  const started = new Counter({
    name: "grpc_server_started_total",
    help: "calls started",
    labelNames: CALL_LABELS,
    registers: [],
    collect() {
      for (const count of countOf.values()) {
        this.inc(count.labels, count.started);
        count.started = 0;
      }
    },
  });
  const handled = new Counter({
    name: "grpc_server_handled_total",
    help: "calls completed, by code",
    labelNames: [...CALL_LABELS, "grpc_code"],
    registers: [],
    collect() {
      for (const { labels, handled: byCode } of countOf.values()) {
        for (const [code, count] of byCode) {
          this.inc({ ...labels, grpc_code: code }, count);
          byCode.set(code, 0);
        }
      }
    },
  });
  const seconds = new Histogram({
    name: "grpc_server_handling_seconds",
    help: "duration of calls from the headers to the true end",
    labelNames: CALL_LABELS,
    buckets: CALL_SECONDS,
    registers,
  });
  const count = (labels: CallLabels): CallCount => {
    let found = countOf.get(labels);
    if (found === undefined) {
      const named = {
        grpc_type: labels.type,
        grpc_service: labels.service,
        grpc_method: labels.method,
        rpc_protocol: labels.protocol,
      };
      found = { labels: named, started: 0, handled: new Map(), seconds: seconds.labels(named) };
      countOf.set(labels, found);
    }
    return found;
  };
  for (const registry of registers) {
    registry.registerMetric(started);
    registry.registerMetric(handled);
  }
  return {
    callStarted(labels) {
      count(labels).started++;
    },
    callEnded(labels, code, duration) {
      const { handled: byCode, seconds: histogram } = count(labels);
      byCode.set(code, (byCode.get(code) ?? 0) + 1);
      histogram.observe(duration);
    },
  };
}

/** Calls since the last scrape. Adding to a Counter for each call would cost several times as much. */
interface CallCount {
  readonly labels: Record<(typeof CALL_LABELS)[number], string>;
  started: number;
  readonly handled: Map<string, number>;
  readonly seconds: Histogram.Internal<(typeof CALL_LABELS)[number]>;
}
