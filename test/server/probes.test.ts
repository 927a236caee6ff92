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

test("work is shared by all calls within 100 ms of its start, even if it fails, and then repeated", async () => {
  let nowMs = 5_000;
  let begun = 0;
  const work = async (): Promise<number> => {
    begun++;
    if (begun === 1) {
      throw new Error("away");
    }
    return begun;
  };
  const ask = recent(100, work, () => nowMs);
  const results: unknown[] = [];

  for (const ms of [0, 99, 1, 99, 1]) {
    nowMs += ms;
    results.push(await ask().catch(() => "failed"));
  }

  expect(results).toEqual(["failed", "failed", 2, 2, 3]);
});
