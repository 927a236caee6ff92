import { setTimeout as pause } from "node:timers/promises";

import { Code, ConnectError } from "@connectrpc/connect";

import type { Figure, Finding, Listener, Row, Scale } from "./finding.ts";
import { LoadClient, type LoadResults, quantile } from "./load.ts";
import { CACHED_VIN, Target } from "./target.ts";

/** Enough to keep the service busy, and too few for it to refuse any. */
const AT_ONCE = 16;
const OBSERVER_MS = 20;
/** Until code is compiled, refusing has begun, and those who were let in before are answered. */
const WARM_UP_S = 4;
/** Shorter than the time for which a machine is fast or slow, and than the second after which overload ends. */
const WINDOW_S = 0.3;
/** All others have to wait for a collection of garbage. */
const REFUSED_WITHIN_MS = 20;
/** Until the last answers of a window have come. */
const GAP_MS = 30;

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

/** What is loaded. */
interface Door {
  readonly listener: Listener;
  readonly isSecured: boolean;
}

const DOORS: readonly Door[] = [
  { listener: "gRPC", isSecured: false },
  { listener: "gRPC", isSecured: true },
  { listener: "HTTP", isSecured: false },
  { listener: "HTTP/2", isSecured: true },
];

function nameOf({ listener, isSecured }: Door): string {
  return `${listener}${isSecured ? " with TLS" : ""}`;
}

/**
 * Row 27: three times as many calls as can be answered. The machine is not as fast at all times, so two processes of the
 * service take turns, one at its peak, the other under overload, which does not end between its turns.
 */
export const rowsOfLoad: readonly Row[] = DOORS.map((door) => ({
  number: 27,
  title: `three times the capacity over ${nameOf(door)}`,
  // A refusal has to be encrypted, too: on two cores that leaves little above the limit, and a short form would waver.
  hasShortForm: !door.isSecured,
  async run(scale) {
    const findings: Finding[] = [];
    for (const load of scale === "full" ? LOADS : LOADS.slice(0, 1)) {
      findings.push(await overload(door, load, scale));
    }
    return findings;
  },
}));

async function overload(door: Door, { isCached, isMeasuredOnly }: Load, scale: Scale): Promise<Finding> {
  const { listener } = door;
  await using busy = await LoadedTarget.start(door, isCached);
  await using flooded = await LoadedTarget.start(door, isCached);
  const threeTimes = ({ goodMs }: LoadResults, seconds: number): number => (3 * goodMs.length) / seconds;
  await flooded.client.open(threeTimes(await busy.client.closed(AT_ONCE, WARM_UP_S), WARM_UP_S), WARM_UP_S);
  const observer = new AbortController();
  const observed = observe(flooded.target, listener, observer.signal);
  const seen: Turn[] = [];
  while (seen.length < (scale === "full" ? 120 : 40)) {
    const peak = await busy.client.closed(AT_ONCE, WINDOW_S);
    await pause(GAP_MS);
    const overloaded = await flooded.client.open(threeTimes(peak, WINDOW_S), WINDOW_S);
    await pause(GAP_MS);
    seen.push({ peak, overloaded });
  }
  observer.abort();
  return {
    listener,
    what: `${isCached ? "cached" : "new"} VINs${door.isSecured ? ", TLS" : ""}, ${Math.round(meanPeak(seen) / WINDOW_S)} calls/s at peak`,
    figures: [
      ...figuresOf(seen, isMeasuredOnly),
      { name: "an honest client's other errors", value: await observed, atMost: 0 },
    ],
  };
}

/** One after the other, on two processes. Was anybody refused at peak, then it was none. */
interface Turn {
  readonly peak: LoadResults;
  readonly overloaded: LoadResults;
}

function figuresOf(turns: readonly Turn[], isMeasuredOnly: boolean): Figure[] {
  const goodMs = turns.flatMap(({ overloaded }) => overloaded.goodMs);
  const refusedMs = turns.flatMap(({ overloaded }) => overloaded.refusedMs);
  const percent = 100 / (turns.length * meanPeak(turns));
  const limit = <Limit extends object>(limits: Limit): Limit | object => (isMeasuredOnly ? {} : limits);
  return [
    { name: "refused at peak", value: sum(turns.map(({ peak }) => peak.refusedMs.length)), atMost: 0 },
    { name: "good, % of peak", value: goodMs.length * percent, ...limit({ atLeast: 80 }) },
    { name: "good and refused, % of peak", value: (goodMs.length + refusedMs.length) * percent, atLeast: 250 },
    { name: "refused", value: refusedMs.length, atLeast: 1 },
    { name: "good p50 ms", value: quantile(goodMs, 0.5) },
    { name: "p99 ms", value: quantile(goodMs, 0.99) },
    { name: "refused p50 ms", value: quantile(refusedMs, 0.5) },
    { name: "p99 ms", value: quantile(refusedMs, 0.99) },
    { name: "refused within 20 ms, %", value: shareWithin(refusedMs, REFUSED_WITHIN_MS), ...limit({ atLeast: 90 }) },
  ];
}

/** How many of a hundred took no longer. */
function shareWithin(values: readonly number[], ms: number): number {
  return (100 * values.filter((value) => value <= ms).length) / values.length;
}

/** Answers in a window at peak. */
function meanPeak(turns: readonly Turn[]): number {
  return sum(turns.map(({ peak }) => peak.goodMs.length)) / turns.length;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** A process of the service with a client of its own. */
class LoadedTarget implements AsyncDisposable {
  readonly target: Target;
  readonly client: LoadClient;

  private constructor(target: Target, client: LoadClient) {
    this.target = target;
    this.client = client;
  }

  static async start({ listener, isSecured }: Door, isCached: boolean): Promise<LoadedTarget> {
    await using starting = new AsyncDisposableStack();
    const env = { SOURCES: isCached ? "vpic" : "snapshot" };
    const target = starting.use(await (isSecured ? Target.startSecured(env) : Target.start(env)));
    const address = target.addressOf(listener);
    const client = await LoadClient.start({ listener, address, ca: target.ca, isCached });
    starting.move();
    return new LoadedTarget(target, client);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
    await this.target[Symbol.asyncDispose]();
  }
}

/** An honest client meanwhile: how often it is told anything but the answer or RESOURCE_EXHAUSTED. */
async function observe(target: Target, listener: Listener, signal: AbortSignal): Promise<number> {
  const client = target.clientOf(listener);
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
