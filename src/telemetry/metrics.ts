import { collectDefaultMetrics, Gauge, Registry } from "prom-client";

/** What is read whenever somebody asks for the metrics. */
export interface MetricReaders {
  /** How the vPIC source does; undefined when vPIC is no source. */
  readonly vpic: () => VpicReading | undefined;
  /** Operations of the cache that failed or were left out because of a fault, since the start. */
  readonly cacheFaults: () => { readonly reads: number; readonly writes: number };
  /** The share of calls that is refused because of overload, from 0 to 1. */
  readonly refusedShare: () => number;
}

interface VpicReading {
  readonly breaker: string;
  readonly availableRequests: number;
  readonly waitingRequests: number;
  readonly gatheringVins: number;
  readonly runningRequests: number;
}

const BREAKER_STATES = ["closed", "half-open", "open"] as const;

/** Metrics in the text format of Prometheus. */
export interface Metrics {
  readonly contentType: string;
  render(): Promise<string>;
}

/** Makes the service's metrics, and those that every Node process has. */
export function createMetrics({ vpic, cacheFaults, refusedShare }: MetricReaders): Metrics {
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
  for (const state of BREAKER_STATES) {
    const name = `vehicle_vpic_breaker_${state.replace("-", "_")}`;
    gauge(name, `1 while vPIC's circuit breaker is ${state}`, () => {
      const reading = vpic();
      return reading === undefined ? undefined : Number(reading.breaker === state);
    });
  }
  gauge("vehicle_vpic_available_requests", "requests that vPIC's budget lets go now", () => vpic()?.availableRequests);
  gauge("vehicle_vpic_waiting_requests", "requests that wait for a place or the budget", () => vpic()?.waitingRequests);
  gauge("vehicle_vpic_gathering_vins", "VINs that wait for others to go with", () => vpic()?.gatheringVins);
  gauge("vehicle_vpic_running_requests", "requests to vPIC under way", () => vpic()?.runningRequests);
  gauge("vehicle_cache_read_faults", "reads of the cache that failed since the start", () => cacheFaults().reads);
  gauge("vehicle_cache_write_faults", "writes to the cache that failed since the start", () => cacheFaults().writes);
  gauge("vehicle_refused_share", "share of calls that is refused because of overload", refusedShare);
  return { contentType: registry.contentType, render: () => registry.metrics() };
}
