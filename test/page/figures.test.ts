import { expect, test } from "vitest";
import { breakerOf, callsOf, figuresOf, hitRatioOf, sumOf, type Reading } from "../../src/page/service/figures.ts";
import { parseMetrics } from "../../src/page/service/prometheus.ts";
import { someMetrics } from "../support/some-metrics.ts";

const LOOKUP = `grpc_service="vehicle.v1.VehicleService",grpc_method="Lookup"`;

function readingOf(at: number, text: string): Reading {
  return { at, metrics: parseMetrics(text) };
}

test("lines of Prometheus are read with their labels, and comments are left out", () => {
  const text = '# HELP a b\na 1\nb{x="1",y="say \\"hi\\", \\\\"} 2.5\nc_bucket{le="+Inf"} +Inf\nnot a line';

  expect(parseMetrics(text)).toEqual([
    { name: "a", labels: {}, value: 1 },
    { name: "b", labels: { x: "1", y: 'say "hi", \\' }, value: 2.5 },
    { name: "c_bucket", labels: { le: "+Inf" }, value: Infinity },
  ]);
});

test("rates are those of the time between two readings", () => {
  const before = readingOf(1_000, 'vehicle_lookups_total{result="fresh",source="vpic"} 10\nvpic_requests_total 5');
  const now = readingOf(
    3_000,
    `vehicle_lookups_total{result="fresh",source="vpic"} 14
     vehicle_lookups_total{result="stale",source="vpic"} 2
     vehicle_lookups_total{result="decoded",source="vpic"} 6
     vpic_requests_total{outcome="answered"} 8
     vehicle_calls_in_flight 3
     vehicle_vpic_waiting_requests 1
     vehicle_vpic_gathering_vins 4`.replaceAll(/^ +/gm, ""),
  );

  expect(figuresOf(before, now)).toMatchObject({
    at: 3,
    lookups: 6,
    hits: 3,
    vpicRequests: 1.5,
    inFlight: 3,
    waitingForVpic: 5,
    median: undefined,
  });
  expect(hitRatioOf(now)).toBe(16 / 22);
});

test("after a restart of the service, no rate is negative", () => {
  const figures = figuresOf(readingOf(0, "vpic_requests_total 100"), readingOf(1_000, "vpic_requests_total 2"));

  expect(figures.vpicRequests).toBe(0);
});

test("quantiles are interpolated within a bucket", () => {
  const bucket = (le: string, count: number): string =>
    `grpc_server_handling_seconds_bucket{le="${le}",${LOOKUP}} ${count}`;
  const before = readingOf(0, [bucket("0.1", 10), bucket("0.2", 10), bucket("+Inf", 10)].join("\n"));
  const now = readingOf(1_000, [bucket("0.1", 20), bucket("0.2", 110), bucket("+Inf", 110)].join("\n"));

  const { median, slowest } = figuresOf(before, now);

  expect(median).toBeCloseTo(0.14);
  expect(slowest).toBeCloseTo(0.199);
});

test("calls are counted by method and code, over all protocols", () => {
  const line = (code: string, protocol: string, count: number): string =>
    `grpc_server_handled_total{${LOOKUP},grpc_code="${code}",rpc_protocol="${protocol}"} ${count}`;
  const before = readingOf(0, line("OK", "grpc", 1));
  const now = readingOf(
    2_000,
    [line("OK", "grpc", 3), line("OK", "connect", 2), line("NotFound", "grpc", 9)].join("\n"),
  );

  expect(callsOf(before, now)).toEqual([
    { method: "Lookup", code: "NotFound", total: 9, perSecond: 4.5 },
    { method: "Lookup", code: "OK", total: 5, perSecond: 2 },
  ]);
});

test("a single reading has no calls per second", () => {
  const reading = readingOf(0, `grpc_server_handled_total{${LOOKUP},grpc_code="OK"} 3`);

  expect(callsOf(reading, reading)).toEqual([{ method: "Lookup", code: "OK", total: 3, perSecond: undefined }]);
});

test("the names are those of the service's own metrics", async () => {
  const metrics = someMetrics();
  const before = readingOf(0, await metrics.render());
  const labels = { type: "unary", service: "vehicle.v1.VehicleService", method: "Lookup", protocol: "grpc" };
  metrics.callStarted(labels);
  metrics.callEnded(labels, "OK", 0.004, 1);
  metrics.lookedUp("fresh", "vpic");
  metrics.askedVpic("answered", 0.2);

  const now = readingOf(1_000, await metrics.render());

  expect(figuresOf(before, now)).toEqual({
    at: 1,
    lookups: 1,
    hits: 1,
    median: 0.00375,
    slowest: expect.closeTo(0.004975),
    vpicRequests: 1,
    vpicMedian: expect.closeTo(0.175),
    inFlight: 7,
    waitingForVpic: 25,
  });
  expect(sumOf(now.metrics, "vehicle_calls_refused_total")).toBe(3);
  expect([breakerOf(now), hitRatioOf(now)]).toEqual(["half-open", 1]);
  expect(callsOf(before, now)).toEqual([{ method: "Lookup", code: "OK", total: 1, perSecond: 1 }]);
});
