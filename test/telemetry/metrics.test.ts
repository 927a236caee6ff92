import { expect, test } from "vitest";
import type { MetricReaders } from "../../src/telemetry/metrics.ts";
import { addCounts, createMetrics, renderSum } from "../../src/telemetry/metrics.ts";

const LOOKUP = { type: "unary", service: "s", method: "Lookup", protocol: "grpc" };

/** The metrics of a process that has answered a call in each of these times, in seconds. */
function metricsOf(inFlight: number, ...seconds: readonly number[]) {
  const readers: MetricReaders = {
    version: "1.2.3",
    vpic: () => ({
      breaker: inFlight > 1 ? "open" : "closed",
      availableRequests: 2,
      waitingRequests: 0,
      gatheringVins: 0,
      runningRequests: 0,
    }),
    snapshotDataDate: () => "2026-10",
    cacheFaults: () => ({ reads: 0, writes: 0 }),
    calls: () => ({ inFlight, refused: 0 }),
    refusedConnections: () => 0,
  };
  const metrics = createMetrics(readers);
  for (const duration of seconds) {
    metrics.callStarted(LOOKUP);
    metrics.callEnded(LOOKUP, "OK", duration);
    metrics.lookedUp("fresh", "vpic");
    metrics.askedVpic("answered", duration);
  }
  return metrics;
}

/** The samples of ours. */
function samplesOf(text: string): string[] {
  return text.split("\n").filter((line) => /^(vehicle|grpc|vpic)/.test(line) && !/_bucket|[ ]0$/.test(line));
}

test("the metrics of several processes are those of one that did everything", async () => {
  const [one, other] = [metricsOf(1, 0.25, 3), metricsOf(2, 0.25)];

  const sum = await renderSum([await one.read(), await other.read()]);

  expect(samplesOf(sum).toSorted()).toEqual(
    samplesOf(await metricsOf(3, 0.25, 3, 0.25).render())
      .map((line) => line.replace("available_requests 2", "available_requests 4"))
      // One of the two breakers is closed.
      .concat("vehicle_vpic_breaker_closed 1")
      .toSorted(),
  );
  expect(sum).toContain(
    'grpc_server_handling_seconds_bucket{le="0.25",grpc_type="unary",grpc_service="s",grpc_method="Lookup",rpc_protocol="grpc"} 2',
  );
});

test("what a process has counted stays after its end, but not what it measured", async () => {
  const [dead, alive] = [metricsOf(2, 0.25), metricsOf(1, 0.25)];

  const past = await addCounts([await addCounts([[], await dead.read()]), await dead.read()]);
  const sum = samplesOf(await renderSum([past, await alive.read()]));

  expect(sum).toContain('vehicle_lookups_total{result="fresh",source="vpic"} 3');
  expect(sum).toContain("vpic_request_duration_seconds_count 3");
  expect(sum).toContain("vehicle_calls_in_flight 1");
});
