import { afterAll, expect, test } from "vitest";
import { createHealthzHandler, createMetricsHandler, createReadyzHandler, recent } from "../../src/server/probes.ts";
import { plainRequest } from "../support/plain-request.ts";
import { someMetrics } from "../support/some-metrics.ts";
import { serve } from "../support/serve.ts";

const server = await serve({
  plain: {
    "GET /healthz": createHealthzHandler("1.2.3"),
    "GET /metrics": createMetricsHandler(someMetrics()),
    "GET /readyz": createReadyzHandler({ isReady: true, describe: () => "ready; degraded: the cache" }),
    "GET /stopping": createReadyzHandler({ isReady: false, describe: () => "stopping" }),
  },
});
afterAll(() => server[Symbol.asyncDispose]());

test.each([
  ["/healthz", 200, "", /^ok; version 1\.2\.3\n$/],
  ["/readyz", 200, "", /^ready; degraded: the cache\n$/],
  ["/stopping", 503, "", /^stopping\n$/],
  ["/metrics", 200, "version=0.0.4; ", /^vehicle_calls_in_flight 7$/m],
])("%s answers %d in plain text, and is not cached", async (path, status, version, body) => {
  expect(await plainRequest(server.address, "GET", path)).toMatchObject({
    status,
    headers: { "content-type": `text/plain; ${version}charset=utf-8`, "cache-control": "no-store" },
    body: expect.stringMatching(body),
  });
});

test("work is shared by all calls within 100 ms of its start, and is repeated for later calls", async () => {
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

test("shared work may fail for all of these calls, and is repeated for later calls", async () => {
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
