import { setTimeout as pause } from "node:timers/promises";

import type { Load, Order, Outcome } from "./load.ts";
import type { Processes } from "./processes.ts";
import type { Figure, Section } from "./report.ts";
import type { Scale } from "./scale.ts";
import type { Service } from "./service.ts";

/** The calls of the honest caller. */
const CALLS_PER_SECOND = 50;
const HONEST_P99_MS = 500;
/** The time between two bursts. */
const GAP_MS = 500;

interface Burst {
  readonly name: string;
  readonly order: (service: Service, scale: Scale) => Omit<Order, "pace">;
}

const BURSTS: readonly Burst[] = [
  {
    name: "pipelines of HTTP/1.1",
    order: (service, { burst }) => ({ target: service.target("Connect"), request: "cached Lookup", ...burst }),
  },
  {
    name: "pipelines of HTTP/1.1 without a token",
    order: (service, { burst }) => ({
      target: { ...service.target("Connect"), token: undefined },
      request: "cached Lookup",
      ...burst,
    }),
  },
  {
    name: "gRPC calls at once",
    order: (service, { burst }) => ({ target: service.target("gRPC"), request: "cached Lookup", ...burst }),
  },
  {
    name: "one batch of 5,000 malformed VINs",
    order: (service) => ({
      target: service.target("Connect"),
      request: "malformed batch",
      connections: 1,
      callsEach: 1,
    }),
  },
];

/** An honest caller on a connection of its own, while others send bursts again and again. */
export async function measureBursts(processes: Processes, scale: Scale): Promise<Section[]> {
  const honest = await processes.startLoad();
  const others = await processes.startLoad();
  const service = await processes.startService();
  const sections: Section[] = [
    { title: "an honest caller, alone", figures: figuresOf(await callSteadily(honest, service, scale)) },
  ];
  for (const { name, order } of BURSTS) {
    const endsAt = performance.now() + 1_000 * scale.longSeconds;
    const [seen, bursts] = await Promise.all([
      callSteadily(honest, service, scale),
      burstUntil(endsAt, others, order(service, scale)),
    ]);
    sections.push({
      title: `an honest caller, beside ${name}`,
      figures: [...figuresOf(seen), { what: "bursts", value: bursts.length, note: describe(bursts) }],
    });
  }
  return sections;
}

async function callSteadily(load: Load, service: Service, scale: Scale): Promise<Outcome> {
  return await load.run({
    target: service.target("gRPC"),
    request: "cached Lookup",
    connections: 1,
    callsEach: 100,
    pace: { kind: "open", perSecond: CALLS_PER_SECOND, seconds: scale.longSeconds },
  });
}

async function burstUntil(endsAt: number, load: Load, order: Omit<Order, "pace">): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  do {
    outcomes.push(await load.run({ ...order, pace: { kind: "burst" } }));
    await pause(GAP_MS);
  } while (performance.now() < endsAt);
  return outcomes;
}

/** How the calls of all bursts ended. */
function describe(bursts: readonly Outcome[]): string {
  const sum = (count: (outcome: Outcome) => number): string =>
    bursts.reduce((total, outcome) => total + count(outcome), 0).toLocaleString("en-US");
  return [
    `good ${sum(({ good }) => good.count)}`,
    `refused ${sum(({ refused }) => refused)}`,
    `lost ${sum(({ lost }) => lost)}`,
  ].join(", ");
}

function figuresOf({ good, refused, lost, unsent }: Outcome): Figure[] {
  return [
    { what: "p50", value: good.p50Ms, unit: "ms" },
    { what: "p99", value: good.p99Ms, unit: "ms", atMost: HONEST_P99_MS },
    { what: "longest", value: good.maxMs, unit: "ms" },
    { what: "refused, lost or not sent", value: refused + lost + unsent, atMost: 0 },
  ];
}
