import { cpuMsOf } from "../process-usage.ts";
import { median } from "./median.ts";
import type { Figure, Section } from "./report.ts";

/** A server that is loaded once in every round. */
export interface Contender {
  readonly name: string;
  readonly pid: number;
  /** Loads it for some seconds. */
  readonly load: (seconds: number) => Promise<Throughput>;
}

export interface Throughput {
  /** Calls with a good answer. */
  readonly calls: number;
  readonly callsPerSecond: number;
  /** Calls that were refused or lost. */
  readonly failed: number;
}

/** The results of a server in one round. */
interface Turn {
  readonly callsPerSecond: number;
  readonly cpuUsPerCall: number;
  /** CPU time over wall time: 1 when one core was busy all the time. */
  readonly busy: number;
  readonly failed: number;
}

type Measured = "callsPerSecond" | "cpuUsPerCall" | "busy";

/** How well the first contender must do in comparison with another. */
interface Goal {
  readonly yardstick: string;
  /** Minimum throughput, as a multiple of the yardstick's. */
  readonly throughput: number;
  /** Whether CPU per call must be as good as well. Otherwise it decides only when there are too few cores. */
  readonly cpuToo?: boolean;
}

/**
 * A server that was less busy than this had to wait for the load or for a core, so its throughput says little. CPU per
 * call decides then.
 */
const BUSY_ENOUGH = 0.9;

/** Loads the contenders in turn, round after round, and compares the first with the others. */
export async function compare(
  title: string,
  contenders: readonly [Contender, ...Contender[]],
  goals: readonly Goal[],
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): Promise<Section> {
  const turns = new Map(contenders.map(({ name }): [string, Turn[]] => [name, []]));
  for (const contender of contenders) {
    // A first run lets code be compiled and the heap grow.
    await takeTurn(contender, seconds);
  }
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) {
      turns.get(contender.name)?.push(await takeTurn(contender, seconds));
    }
  }
  const own = turns.get(contenders[0].name) ?? [];
  const figures = [
    ...(goals.length === 0 ? alone(own) : []),
    ...goals.flatMap((goal) => beside(own, turns.get(goal.yardstick) ?? [], goal)),
    ...failuresOf(own),
  ];
  return { title, figures };
}

async function takeTurn({ name, pid, load }: Contender, seconds: number): Promise<Turn> {
  const cpuBefore = await cpuMsOf(pid);
  const startedAt = performance.now();
  const { calls, callsPerSecond, failed } = await load(seconds);
  const wallMs = performance.now() - startedAt;
  const cpuMs = (await cpuMsOf(pid)) - cpuBefore;
  if (calls === 0) {
    throw new Error(`${name} answered no call`);
  }
  return { callsPerSecond, cpuUsPerCall: (1_000 * cpuMs) / calls, busy: cpuMs / wallMs, failed };
}

function alone(turns: readonly Turn[]): Figure[] {
  return [
    { what: "calls/s", value: medianOf(turns, "callsPerSecond") },
    { what: "CPU per call", value: medianOf(turns, "cpuUsPerCall"), unit: "us" },
  ];
}

function beside(own: readonly Turn[], other: readonly Turn[], goal: Goal): Figure[] {
  const coresSuffice = Math.min(medianOf(own, "busy"), medianOf(other, "busy")) >= BUSY_ENOUGH;
  const cpuDecides = goal.cpuToo === true || !coresSuffice;
  return [
    {
      ...ratioOf(`calls/s, beside ${goal.yardstick}`, own, other, "callsPerSecond"),
      atLeast: goal.throughput,
      ...(coresSuffice ? {} : { isJudged: false, note: "CPU decides: a server had to wait" }),
    },
    {
      ...ratioOf(`CPU per call, beside ${goal.yardstick}`, own, other, "cpuUsPerCall"),
      unit: "us",
      atMost: Number((1 / goal.throughput).toFixed(2)),
      ...(cpuDecides ? {} : { isJudged: false, note: "calls/s decide" }),
    },
  ];
}

function failuresOf(turns: readonly Turn[]): Figure[] {
  const value = turns.reduce((sum, { failed }) => sum + failed, 0);
  return [{ what: "refused or lost", value, atMost: 0 }];
}

function ratioOf(what: string, own: readonly Turn[], other: readonly Turn[], key: Measured): Figure {
  const ratios = own.map((turn, round) => turn[key] / (other[round]?.[key] ?? Number.NaN));
  return { what, value: medianOf(own, key), yardstick: medianOf(other, key), ratio: median(ratios) };
}

function medianOf(turns: readonly Turn[], key: Measured): number {
  return median(turns.map((turn) => turn[key]));
}
