import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createHealthzHandler, createMetricsHandler, createReadyzHandler, recent } from "../../src/server/probes.ts";
import { plainRequest } from "../support/plain-request.ts";
import { someMetrics } from "../support/some-metrics.ts";
import type { Served } from "../support/serve.ts";
import { serve } from "../support/serve.ts";

let server: Served;
const metrics = someMetrics();

beforeAll(async () => {
  server = await serve({
    plain: {
      "GET /healthz": createHealthzHandler("1.2.3"),
      "GET /metrics": createMetricsHandler(metrics),
      "GET /readyz": createReadyzHandler({ isReady: true, describe: () => "ready; degraded: the cache" }),
      "GET /stopping": createReadyzHandler({ isReady: false, describe: () => "stopping" }),
    },
  });
});
afterAll(() => server[Symbol.asyncDispose]());

const LINE = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };

test("/healthz says that the process responds, with its version", async () => {
  const answer = await plainRequest(server.address, "GET", "/healthz");

  expect(answer).toMatchObject({ status: 200, body: "ok; version 1.2.3\n", headers: LINE });
});

describe("/readyz", () => {
  test("answers 200 while the service is ready", async () => {
    const answer = await plainRequest(server.address, "GET", "/readyz");

    expect(answer).toMatchObject({ status: 200, body: "ready; degraded: the cache\n", headers: LINE });
  });

  test("answers 503 while it is not", async () => {
    const answer = await plainRequest(server.address, "GET", "/stopping");

    expect(answer).toMatchObject({ status: 503, body: "stopping\n", headers: LINE });
  });
});

test("/metrics is in Prometheus' format, and is not cached", async () => {
  const answer = await plainRequest(server.address, "GET", "/metrics");

  expect(answer.headers).toMatchObject({
    "content-type": "text/plain; version=0.0.4; charset=utf-8",
    "cache-control": "no-store",
  });
  expect(answer.body).toMatch(/^vehicle_calls_in_flight 7$/m);
  expect(answer.body).toMatch(/^vehicle_build_info\{version="1.2.3"\} 1$/m);
  expect(answer.body).toContain(`\nvehicle_snapshot_data_date ${Date.UTC(2026, 9, 1) / 1_000}\n`);
  expect(answer.body).toMatch(/^# HELP /m);
});

describe("shared work", () => {
  test("is shared by all calls within 100 ms of its start, and is repeated for later calls", async () => {
    let nowMs = 5_000;
    let done = 0;
    const ask = recent(
      100,
      () => Promise.resolve(++done),
      () => nowMs,
    );
    const results: number[] = [];

    for (const ms of [0, 99, 1, 99, 1]) {
      nowMs += ms;
      results.push(await ask());
    }

    expect(results).toEqual([1, 1, 2, 2, 3]);
  });

  test("may fail for all of these calls, and is repeated for later calls", async () => {
    let nowMs = 0;
    const outcomes = [Promise.reject(new Error("away")), Promise.resolve("here")];
    const ask = recent(
      100,
      () => outcomes.shift() ?? Promise.reject(new Error("asked too often")),
      () => nowMs,
    );

    const failures = await Promise.allSettled([ask(), ask()]);
    nowMs = 100;
    const later = await ask();

    expect(failures.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(later).toBe("here");
  });
});
