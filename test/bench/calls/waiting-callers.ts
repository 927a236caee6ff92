import type { Load, Outcome, Shape, Target } from "./load.ts";
import { median } from "./median.ts";
import type { Processes } from "./processes.ts";
import type { Figure, Section } from "./report.ts";
import type { Scale } from "./scale.ts";
import type { YardstickKind } from "./yardstick.ts";

const MAX_ROUNDS = 3;

/**
 * Compares the service with bare servers when many callers each wait for their answer. In such a closed loop, how long
 * they wait depends only on how many calls a second the server answers. So beside node:http, the bound cannot be kept
 * together with the one of 0.22 of its calls per second.
 */
export async function measureWaitingCallers(processes: Processes, scale: Scale): Promise<Section[]> {
  const load = await processes.startLoad();
  const service = await processes.startService();
  return [
    await measure("gRPC", "grpc-js", scale.waiting.grpc),
    await measure("Connect", "connect-node", scale.waiting.connect),
    await measure("Connect", "node:http", scale.waiting.connect),
  ];

  async function measure(protocol: Target["protocol"], kind: YardstickKind, shape: Shape): Promise<Section> {
    const yardstick = await processes.startYardstick(kind);
    const own: Outcome[] = [];
    const other: Outcome[] = [];
    for (let round = 0; round < Math.min(MAX_ROUNDS, scale.rounds); round++) {
      own.push(await callAndWait(load, service.target(protocol), shape, scale.longSeconds));
      other.push(await callAndWait(load, { protocol, address: yardstick.address }, shape, scale.longSeconds));
    }
    const callers = (shape.connections * shape.callsEach).toLocaleString("en-US");
    return {
      title: `${callers} callers who wait for their answers, ${protocol}, beside ${kind}`,
      figures: figuresOf(own, other),
    };
  }
}

async function callAndWait(load: Load, target: Target, shape: Shape, seconds: number): Promise<Outcome> {
  return await load.run({ target, request: "cached Lookup", ...shape, pace: { kind: "closed", seconds } });
}

function figuresOf(own: readonly Outcome[], other: readonly Outcome[]): Figure[] {
  const sum = (what: string, count: (outcome: Outcome) => number): Figure => ({
    what,
    value: own.reduce((total, outcome) => total + count(outcome), 0),
    yardstick: other.reduce((total, outcome) => total + count(outcome), 0),
  });
  const ratio = (what: string, key: "p50Ms" | "p99Ms"): Figure => ({
    what,
    value: median(own.map(({ good }) => good[key])),
    yardstick: median(other.map(({ good }) => good[key])),
    ratio: median(own.map(({ good }, round) => good[key] / (other[round]?.good[key] ?? Number.NaN))),
    unit: "ms",
  });
  return [
    sum("answered", ({ good }) => good.count),
    { ...sum("refused or lost", ({ refused, lost }) => refused + lost), atMost: 0 },
    ratio("p50", "p50Ms"),
    { ...ratio("p99", "p99Ms"), atMost: 1.5 },
  ];
}
