import { setTimeout as pause } from "node:timers/promises";

import { Code, ConnectError } from "@connectrpc/connect";

import { clientOf } from "../support/clients.ts";
import type { Finding, Row, Scale } from "./finding.ts";
import { LoadClient, type LoadResults, quantile } from "./load.ts";
import { CACHED_VIN, Target } from "./target.ts";

/** Enough to keep the service busy, and too few for it to refuse any. */
const AT_ONCE = 16;
const OBSERVER_MS = 20;
const WARM_UP_S = 1.5;
const RECOVERY_MS = 2500;
const ROUNDS = 5;

interface Load {
  readonly isCached: boolean;
  /** Whether the figures have no limits. */
  readonly isMeasuredOnly: boolean;
}

/**
 * Answers that take work, and those that next to none. What Node needs to take a call and refuse it is a fifth of what a
 * cached answer costs, so that nobody could refuse two such calls for each that is answered and still answer as many.
 */
const LOADS: readonly Load[] = [
  { isCached: false, isMeasuredOnly: false },
  { isCached: true, isMeasuredOnly: true },
];

/**
 * Row 27: three times as many calls as can be answered. Over HTTP/1.1 the share of good answers is near its limit, 82 to
 * 90 % on a quiet machine, too near for rounds of a second beside other tests: only the long form holds it to it.
 */
export const rowsOfLoad: readonly Row[] = [
  {
    number: 27,
    title: "three times the capacity",
    async run(scale) {
      const findings: Finding[] = [];
      for (const load of scale === "full" ? LOADS : LOADS.slice(0, 1)) {
        for (const listener of ["gRPC", "HTTP"] as const) {
          findings.push(await overload(listener, load, scale));
        }
      }
      return findings;
    },
  },
];

async function overload(listener: "gRPC" | "HTTP", { isCached, isMeasuredOnly }: Load, scale: Scale): Promise<Finding> {
  const seconds = scale === "full" ? 3 : 1;
  await using target = await Target.start({ SOURCES: isCached ? "vpic" : "snapshot" });
  const address = listener === "gRPC" ? target.grpcAddress : target.httpAddress;
  await using client = await LoadClient.start({ listener, address, isCached });
  await client.closed(AT_ONCE, WARM_UP_S);
  await pause(RECOVERY_MS);
  const seen: Round[] = [];
  let before = await client.closed(AT_ONCE, seconds);
  while (seen.length < ROUNDS) {
    const load = await overloadOnce(target, listener, client, {
      perSecond: (3 * before.goodMs.length) / seconds,
      seconds,
    });
    const after = await client.closed(AT_ONCE, seconds);
    seen.push(toRound(load, [before, after], seconds));
    before = after;
  }
  const median = (valueOf: (round: Round) => number): number => quantile(seen.map(valueOf), 0.5);
  const isHeldToShare = !isMeasuredOnly && (scale === "full" || listener === "gRPC");
  const atMost = (limit: number): { atMost?: number } => (isMeasuredOnly ? {} : { atMost: limit });
  return {
    listener,
    what: `${isCached ? "cached" : "new"} VINs, at most ${Math.round(median(({ peak }) => peak))} calls/s`,
    figures: [
      { name: "refused at peak", value: Math.max(...seen.map(({ refusedAtPeak }) => refusedAtPeak)), atMost: 0 },
      {
        name: "good, % of peak",
        value: median(({ goodPercent }) => goodPercent),
        ...(isHeldToShare ? { atLeast: 80 } : {}),
      },
      { name: "refused, % of peak", value: median(({ refusedPercent }) => refusedPercent), atLeast: 1 },
      { name: "good p50 ms", value: median(({ goodMs }) => quantile(goodMs, 0.5)) },
      { name: "p99 ms", value: median(({ goodMs }) => quantile(goodMs, 0.99)) },
      { name: "refused p50 ms", value: median(({ refusedMs }) => quantile(refusedMs, 0.5)) },
      { name: "p90 ms", value: median(({ refusedMs }) => quantile(refusedMs, 0.9)), ...atMost(20) },
      { name: "p99 ms", value: median(({ refusedMs }) => quantile(refusedMs, 0.99)) },
      { name: "an honest client's other errors", value: Math.max(...seen.map(({ others }) => others)), atMost: 0 },
    ],
  };
}

interface Round {
  /** Calls/s without overload, before and after: the machine is not as fast at all times. */
  readonly peak: number;
  /** How many were refused nevertheless: then it was no peak. */
  readonly refusedAtPeak: number;
  readonly goodPercent: number;
  readonly refusedPercent: number;
  readonly goodMs: readonly number[];
  readonly refusedMs: readonly number[];
  readonly others: number;
}

/** What became of too many calls, and of the honest client's among them. */
async function overloadOnce(
  target: Target,
  listener: "gRPC" | "HTTP",
  client: LoadClient,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<LoadResults & { readonly others: number }> {
  // Until refusing has begun, all are let in.
  await client.open(perSecond, WARM_UP_S);
  const observer = new AbortController();
  const observed = observe(target, listener, observer.signal);
  const results = await client.open(perSecond, seconds);
  observer.abort();
  // Overload ends after a second without refusals, at most two after the last one.
  await pause(RECOVERY_MS);
  return { ...results, others: await observed };
}

function toRound(
  { goodMs, refusedMs, others }: LoadResults & { readonly others: number },
  unhurried: readonly LoadResults[],
  seconds: number,
): Round {
  const peak = sum(unhurried.map((results) => results.goodMs.length)) / unhurried.length / seconds;
  return {
    peak,
    refusedAtPeak: sum(unhurried.map((results) => results.refusedMs.length)),
    goodPercent: (100 * goodMs.length) / seconds / peak,
    refusedPercent: (100 * refusedMs.length) / seconds / peak,
    goodMs,
    refusedMs,
    others,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** An honest client meanwhile: how often it is told anything but the answer or RESOURCE_EXHAUSTED. */
async function observe(target: Target, listener: "gRPC" | "HTTP", signal: AbortSignal): Promise<number> {
  const client = clientOf(target, listener === "gRPC" ? "grpc" : "connect");
  let others = 0;
  while (!signal.aborted) {
    try {
      await client.lookup({ vin: CACHED_VIN });
    } catch (error) {
      others += ConnectError.from(error).code === Code.ResourceExhausted ? 0 : 1;
    }
    await pause(OBSERVER_MS);
  }
  return others;
}
