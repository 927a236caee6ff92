import { expect, test } from "vitest";
import { METRICS } from "../../src/telemetry/metric-list.ts";
import { addCounts, renderSum } from "../../src/telemetry/metrics.ts";
import { someMetrics } from "../support/some-metrics.ts";

/** The samples of the service's own metrics. */
async function samplesOf(metrics: ReturnType<typeof someMetrics>): Promise<string[]> {
  const text = await metrics.render();
  return text.split("\n").filter((line) => /^(vehicle|vpic)_/.test(line));
}

test("the list has every metric of the service, and nothing else", async () => {
  const text = await someMetrics().render();

  const rendered = [...text.matchAll(/^# TYPE (\w+) (\w+)/gm)].filter(
    ([, name = ""]) => !/^(process|nodejs)_/.test(name),
  );

  expect(rendered.map(([, name, type]) => `${name} ${type}`).toSorted()).toEqual(
    Object.entries(METRICS)
      .map(([name, { type }]) => `${name} ${type}`)
      .toSorted(),
  );
});

test("the state of each part is read at each scrape", async () => {
  let open = 4;
  const metrics = someMetrics({ connections: () => ({ open, refused: 5 }) });
  await metrics.render();
  open = 6;

  const samples = await samplesOf(metrics);

  expect(samples).toEqual(
    expect.arrayContaining([
      "vehicle_calls_in_flight 7",
      "vehicle_calls_refused_total 3",
      "vehicle_connections_open 6",
      "vehicle_connections_refused_total 5",
      "vehicle_cache_up 1",
      "vehicle_ready 1",
      'vehicle_degraded{reason="cache"} 0',
      'vehicle_degraded{reason="vpic"} 1',
      'vehicle_cache_entries{source="vpic",state="not_decoded"} 8',
      "vehicle_cache_bytes 9000",
      'vehicle_cache_faults_total{operation="read"} 1',
      'vehicle_cache_faults_total{operation="write"} 2',
      'vehicle_cache_faults_total{operation="remove"} 3',
      "vehicle_vpic_breaker_closed 0",
      "vehicle_vpic_breaker_half_open 1",
      "vehicle_vpic_breaker_open 0",
      "vehicle_vpic_available_requests 11",
      "vehicle_tokens_loaded 2",
      "vehicle_tokens_file_faulty 0",
      `vehicle_certificate_expiry_timestamp_seconds ${Date.UTC(2027, 0) / 1_000}`,
      "vehicle_tls_files_faulty 1",
      `vehicle_snapshot_data_date ${Date.UTC(2026, 9, 1) / 1_000}`,
      'vehicle_build_info{version="1.2.3"} 1',
    ]),
  );
});

test("a part that is not configured has no samples", async () => {
  const none = (): undefined => undefined;
  const metrics = someMetrics({ vpic: none, snapshotDataDate: none, tokens: none, certificate: none });

  const samples = await samplesOf(metrics);

  expect(
    samples.filter((line) => /breaker|vpic_(available|waiting)|data_date|tokens|certificate|tls/.test(line)),
  ).toEqual([]);
});

test("each event is counted exactly once", async () => {
  const metrics = someMetrics();
  metrics.lookedUp("fresh", "vpic");
  metrics.lookedUp("fresh", "vpic");
  metrics.askedVpic("timeout", 8);
  metrics.exported({ rowCount: 10, sizeBytes: 1_000 });
  metrics.exported({ rowCount: 1, sizeBytes: 100 });
  await metrics.render();

  const samples = await samplesOf(metrics);

  expect(samples).toEqual(
    expect.arrayContaining([
      'vehicle_lookups_total{result="fresh",source="vpic"} 2',
      'vpic_requests_total{outcome="timeout"} 1',
      "vpic_request_duration_seconds_sum 8",
      "vehicle_exports_total 2",
      "vehicle_export_rows_total 11",
      "vehicle_export_bytes_total 1100",
    ]),
  );
});

const LOOKUP = { type: "unary", service: "s", method: "Lookup", protocol: "grpc" };

/** The metrics of a process that has answered one call for each of these durations, in seconds. */
function metricsOf(inFlight: number, ...seconds: readonly number[]) {
  const metrics = someMetrics({
    vpic: () => ({
      breaker: inFlight > 1 ? "open" : "closed",
      availableRequests: 2,
      waitingRequests: 0,
      gatheringVins: 0,
      runningRequests: 0,
    }),
    cache: () => ({ isUp: true, faults: { reads: 0, writes: 0, removals: 0 }, contents: undefined }),
    calls: () => ({ inFlight, refused: 0 }),
    connections: () => ({ open: 0, refused: 0 }),
  });
  for (const duration of seconds) {
    metrics.callStarted(LOOKUP);
    metrics.callEnded(LOOKUP, "OK", duration, 1);
    metrics.lookedUp("fresh", "vpic");
    metrics.askedVpic("answered", duration);
  }
  return metrics;
}

/** The samples of the service's own metrics that are not 0. */
function nonZeroSamplesOf(text: string): string[] {
  return text.split("\n").filter((line) => /^(vehicle|grpc|vpic)/.test(line) && !/_bucket|[ ]0$/.test(line));
}

test("the metrics of several processes equal those of one process that did everything", async () => {
  const [one, other] = [metricsOf(1, 0.25, 3), metricsOf(2, 0.25)];

  const sum = await renderSum([await one.read(), await other.read()]);

  expect(nonZeroSamplesOf(sum).toSorted()).toEqual(
    nonZeroSamplesOf(await metricsOf(3, 0.25, 3, 0.25).render())
      .map((line) => line.replace("available_requests 2", "available_requests 4"))
      // One of the two breakers is closed.
      .concat("vehicle_vpic_breaker_closed 1")
      .toSorted(),
  );
  expect(sum).toContain(
    'grpc_server_handling_seconds_bucket{le="0.25",grpc_type="unary",grpc_service="s",grpc_method="Lookup",rpc_protocol="grpc"} 2',
  );
});

test("the counts of a process remain after its end, but its gauges do not", async () => {
  const [dead, alive] = [metricsOf(2, 0.25), metricsOf(1, 0.25)];

  const past = await addCounts([await addCounts([[], await dead.read()]), await dead.read()]);
  const sum = nonZeroSamplesOf(await renderSum([past, await alive.read()]));

  expect(sum).toContain('vehicle_lookups_total{result="fresh",source="vpic"} 3');
  expect(sum).toContain("vpic_request_duration_seconds_count 3");
  expect(sum).toContain("vehicle_calls_in_flight 1");
});
