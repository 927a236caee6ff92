import { setTimeout as pause } from "node:timers/promises";

import { Code, ConnectError } from "@connectrpc/connect";

import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";

import type { Load, Outcome, Target } from "./load.ts";
import { median } from "./median.ts";
import type { Processes } from "./processes.ts";
import type { Section } from "./report.ts";
import { CACHED_VIN } from "./requests.ts";
import type { Scale } from "./scale.ts";
import type { Service } from "./service.ts";

const PEAK_SHAPE = { connections: 4, callsEach: 16 };
/** Allows more calls than a process of the service accepts. */
const OVERLOAD_SHAPE = { connections: 60, callsEach: 100 };
const TIMES_PEAK = 3;
const MAX_ROUNDS = 3;
const SAMPLE_EVERY_MS = 20;

/**
 * Sends three times as many new VINs as the service can answer, at a constant rate. The load process sees only that a
 * call was refused. A usual client takes samples of the reasons.
 */
export async function measureOverload(processes: Processes, scale: Scale): Promise<Section[]> {
  const load = await processes.startLoad();
  const service = await processes.startService();
  const target = service.target("gRPC");
  const peaks: Outcome[] = [];
  const overloads: Outcome[] = [];
  const reasons: string[] = [];
  await peak(load, target, scale.seconds);
  for (let round = 0; round < Math.min(MAX_ROUNDS, scale.rounds); round++) {
    const peakNow = await peak(load, target, scale.longSeconds);
    if (peakNow.good.count === 0) {
      throw new Error("the service answered no new VIN");
    }
    peaks.push(peakNow);
    const offeredPerSecond = (TIMES_PEAK * peakNow.good.count) / scale.longSeconds;
    const stop = new AbortController();
    const sampled = sampleRefusals(service, stop.signal);
    overloads.push(await overload(load, target, offeredPerSecond, scale.longSeconds));
    stop.abort();
    reasons.push(...(await sampled));
  }
  const others = reasons.filter((reason) => reason !== "OVERLOADED");
  const total = (count: (outcome: Outcome) => number): number => overloads.reduce((sum, each) => sum + count(each), 0);
  const figures = [
    {
      what: "good answers/s, beside the peak",
      value: median(overloads.map(({ goodPerSecond }) => goodPerSecond)),
      yardstick: median(peaks.map(({ goodPerSecond }) => goodPerSecond)),
      ratio: median(overloads.map(({ goodPerSecond }, round) => goodPerSecond / (peaks[round]?.goodPerSecond ?? NaN))),
      atLeast: 0.7,
    },
    { what: "p99 of good answers", value: median(overloads.map(({ good }) => good.p99Ms)), unit: "ms" },
    { what: "refused", value: total(({ refused }) => refused) },
    { what: "lost", value: total(({ lost }) => lost), atMost: 0 },
    { what: "not sent, because no stream was free", value: total(({ unsent }) => unsent) },
    { what: "refusals sampled", value: reasons.length },
    { what: "of these, not OVERLOADED", value: others.length, atMost: 0, note: others[0] ?? "" },
  ];
  return [{ title: "new VINs, three times as many as can be answered, gRPC", figures }];
}

function peak(load: Load, target: Target, seconds: number): Promise<Outcome> {
  return load.run({ target, request: "new Lookup", ...PEAK_SHAPE, pace: { kind: "closed", seconds } });
}

function overload(load: Load, target: Target, perSecond: number, seconds: number): Promise<Outcome> {
  return load.run({ target, request: "new Lookup", ...OVERLOAD_SHAPE, pace: { kind: "open", perSecond, seconds } });
}

/** The reasons for the refusals of a client that makes one call after the other. */
async function sampleRefusals(service: Service, signal: AbortSignal): Promise<string[]> {
  const client = service.client();
  const reasons: string[] = [];
  while (!signal.aborted) {
    try {
      await client.lookup({ vin: CACHED_VIN });
    } catch (error) {
      reasons.push(reasonOf(ConnectError.from(error)));
    }
    await pause(SAMPLE_EVERY_MS);
  }
  return reasons;
}

function reasonOf(error: ConnectError): string {
  const [info] = error.findDetails(ErrorInfoSchema);
  return error.code === Code.ResourceExhausted && info !== undefined ? info.reason : error.message;
}
