import { setTimeout as pause } from "node:timers/promises";

import { Code, ConnectError } from "@connectrpc/connect";

import { clientOf } from "../support/clients.ts";
import type { Finding, Row } from "./finding.ts";
import { LoadClient, quantile } from "./load.ts";
import { CACHED_VIN, Target } from "./target.ts";

const AT_ONCE = 32;
const OBSERVER_MS = 20;

/** Row 27: three times as many calls as can be answered. */
export const rowsOfLoad: readonly Row[] = [
  {
    number: 27,
    title: "three times the capacity",
    async run(scale) {
      const findings: Finding[] = [];
      for (const isCached of [false, true]) {
        for (const listener of ["gRPC", "HTTP"] as const) {
          findings.push(await overload(listener, isCached, scale === "full" ? 6 : 2));
        }
      }
      return findings;
    },
  },
];

async function overload(listener: "gRPC" | "HTTP", isCached: boolean, seconds: number): Promise<Finding> {
  await using target = await Target.start({ SOURCES: isCached ? "vpic" : "snapshot" });
  const address = listener === "gRPC" ? target.grpcAddress : target.httpAddress;
  await using client = await LoadClient.start({ listener, address, isCached });
  await client.closed(AT_ONCE, 1);
  let peak = 0;
  for (let round = 0; round < 3; round++) {
    const { goodMs } = await client.closed(AT_ONCE, seconds / 3);
    peak = Math.max(peak, goodMs.length / (seconds / 3));
  }
  // Until refusing has begun, all are let in.
  await client.open(3 * peak, 2);
  const observer = new AbortController();
  const observed = observe(target, listener, observer.signal);
  const { goodMs, refusedMs, unsent } = await client.open(3 * peak, seconds);
  observer.abort();
  const { refusedMs: honestMs, others } = await observed;
  return {
    listener,
    what: `${isCached ? "cached" : "new"} VINs, at most ${Math.round(peak)} calls/s`,
    figures: [
      { name: "good, % of peak", value: (100 * goodMs.length) / seconds / peak, atLeast: 80 },
      { name: "refused, % of peak", value: (100 * refusedMs.length) / seconds / peak, atLeast: 1 },
      { name: "not sent, % of peak", value: (100 * unsent) / seconds / peak },
      { name: "good p50 ms", value: quantile(goodMs, 0.5) },
      { name: "p99 ms", value: quantile(goodMs, 0.99) },
      { name: "refused p50 ms", value: quantile(refusedMs, 0.5) },
      { name: "p99 ms", value: quantile(refusedMs, 0.99), atMost: 20 },
      { name: "an honest client's refusals, p50 ms", value: quantile(honestMs, 0.5) },
      { name: "its other errors", value: others, atMost: 0 },
    ],
  };
}

/** An honest client meanwhile: how soon it is refused, and how often it is told anything but RESOURCE_EXHAUSTED. */
async function observe(
  target: Target,
  listener: "gRPC" | "HTTP",
  signal: AbortSignal,
): Promise<{ readonly refusedMs: readonly number[]; readonly others: number }> {
  const client = clientOf(target, listener === "gRPC" ? "grpc" : "connect");
  const refusedMs: number[] = [];
  let others = 0;
  while (!signal.aborted) {
    const startedAt = performance.now();
    try {
      await client.lookup({ vin: CACHED_VIN });
    } catch (error) {
      if (ConnectError.from(error).code === Code.ResourceExhausted) {
        refusedMs.push(performance.now() - startedAt);
      } else {
        others++;
      }
    }
    await pause(OBSERVER_MS);
  }
  return { refusedMs, others };
}
