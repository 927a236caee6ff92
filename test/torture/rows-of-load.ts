import { setTimeout as pause } from "node:timers/promises";

import { Code, ConnectError } from "@connectrpc/connect";

import { clientOf } from "../support/clients.ts";
import type { Figure, Finding, Row, Scale } from "./finding.ts";
import { LoadClient, type LoadResults, quantile } from "./load.ts";
import { CACHED_VIN, Target } from "./target.ts";

/** Enough to keep the service busy, and too few for it to refuse any. */
const AT_ONCE = 16;
const OBSERVER_MS = 20;
/** Until code that refuses is compiled. */
const WARM_UP_S = 4;
/** Until refusing has begun, all are let in. */
const ONSET_S = 1;
/** Overload ends after a second without refusals, at most two after the last one. */
const RECOVERY_MS = 2500;
const ROUNDS = 6;

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
 * Row 27: three times as many calls as can be answered. The machine is not as fast at all times, so peak and overload
 * take turns, and what counts is the sum of all.
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
  const seconds = scale === "full" ? 3 : 1.5;
  await using target = await Target.start({ SOURCES: isCached ? "vpic" : "snapshot" });
  const address = listener === "gRPC" ? target.grpcAddress : target.httpAddress;
  await using client = await LoadClient.start({ listener, address, isCached });
  const peak = async (): Promise<LoadResults> => await client.closed(AT_ONCE, seconds);
  await overloadOnce(target, listener, client, { perSecond: perSecondOf(await peak(), seconds), seconds: WARM_UP_S });
  const rounds: Round[] = [];
  let before = await peak();
  while (rounds.length < ROUNDS) {
    const loaded = await overloadOnce(target, listener, client, { perSecond: perSecondOf(before, seconds), seconds });
    const after = await peak();
    rounds.push({ ...loaded, peaks: [before, after] });
    before = after;
  }
  return {
    listener,
    what: `${isCached ? "cached" : "new"} VINs, ${Math.round(meanPeak(rounds) / seconds)} calls/s at peak`,
    figures: figuresOf(rounds, isMeasuredOnly),
  };
}

/** Three times what was answered. */
function perSecondOf({ goodMs }: LoadResults, seconds: number): number {
  return (3 * goodMs.length) / seconds;
}

function figuresOf(rounds: readonly Round[], isMeasuredOnly: boolean): Figure[] {
  const goodMs = rounds.flatMap((round) => round.goodMs);
  const refusedMs = rounds.flatMap((round) => round.refusedMs);
  const percent = 100 / (rounds.length * meanPeak(rounds));
  const limit = <Limit extends object>(limits: Limit): Limit | object => (isMeasuredOnly ? {} : limits);
  return [
    { name: "refused at peak", value: sum(peaksOf(rounds).map((peak) => peak.refusedMs.length)), atMost: 0 },
    { name: "good, % of peak", value: goodMs.length * percent, ...limit({ atLeast: 80 }) },
    { name: "refused, % of peak", value: refusedMs.length * percent, atLeast: 1 },
    { name: "good p50 ms", value: quantile(goodMs, 0.5) },
    { name: "p99 ms", value: quantile(goodMs, 0.99) },
    { name: "refused p50 ms", value: quantile(refusedMs, 0.5) },
    { name: "p90 ms", value: quantile(refusedMs, 0.9), ...limit({ atMost: 20 }) },
    { name: "p99 ms", value: quantile(refusedMs, 0.99) },
    { name: "an honest client's other errors", value: sum(rounds.map(({ others }) => others)), atMost: 0 },
  ];
}

interface Overload extends LoadResults {
  /** How often an honest client was told anything but the answer or RESOURCE_EXHAUSTED. */
  readonly others: number;
}

interface Round extends Overload {
  /** What was answered without overload, before and after. Was anybody refused nevertheless, then it was no peak. */
  readonly peaks: readonly [LoadResults, LoadResults];
}

/** What became of too many calls, and of the honest client's among them. */
async function overloadOnce(
  target: Target,
  listener: "gRPC" | "HTTP",
  client: LoadClient,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<Overload> {
  await client.open(perSecond, ONSET_S);
  const observer = new AbortController();
  const observed = observe(target, listener, observer.signal);
  const results = await client.open(perSecond, seconds);
  observer.abort();
  await pause(RECOVERY_MS);
  return { ...results, others: await observed };
}

function peaksOf(rounds: readonly Round[]): LoadResults[] {
  return rounds.flatMap(({ peaks }) => peaks);
}

/** Answers in the time of a round. */
function meanPeak(rounds: readonly Round[]): number {
  const peaks = peaksOf(rounds);
  return sum(peaks.map(({ goodMs }) => goodMs.length)) / peaks.length;
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
