import type { MetricReaders, Metrics } from "../../src/telemetry/metrics.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";

/** Metrics of a service that has all parts. */
export function someMetrics(readers: Partial<MetricReaders> = {}): Metrics {
  return createMetrics({
    version: "1.2.3",
    vpic: () => ({
      breaker: "half-open",
      availableRequests: 11,
      waitingRequests: 12,
      gatheringVins: 13,
      runningRequests: 14,
    }),
    snapshotDataDate: () => "2026-10",
    cache: () => ({
      isUp: true,
      faults: { reads: 1, writes: 2, removals: 3 },
      contents: { entries: [{ source: "vpic", isNegative: true, count: 8 }], bytes: 9_000 },
    }),
    calls: () => ({ inFlight: 7, refused: 3 }),
    health: () => ({ isReady: true, degraded: { cache: false, vpic: true } }),
    connections: () => ({ open: 4, refused: 5 }),
    tokens: () => ({ count: 2, isFileFaulty: false }),
    certificate: () => ({ validTo: new Date("2027-01-01"), areFilesFaulty: true }),
    ...readers,
  });
}
