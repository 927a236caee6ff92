import { rssMbOf } from "../process-usage.ts";
import type { Load } from "./load.ts";
import { median } from "./median.ts";
import type { Processes } from "./processes.ts";
import type { Figure, Section } from "./report.ts";
import type { Scale } from "./scale.ts";
import type { Service } from "./service.ts";

const SHAPE = { connections: 4, callsEach: 16 };
const MAX_STARTS = 3;
const MAX_MB = 260;

/** How soon the service listens, and its memory after many cached Lookups. */
export async function measureSize(processes: Processes, scale: Scale): Promise<Section[]> {
  const load = await processes.startLoad();
  let first = await processes.startFirst();
  const startsMs = [first.startMs];
  while (startsMs.length < Math.min(MAX_STARTS, scale.rounds)) {
    first = await processes.startFirst();
    startsMs.push(first.startMs);
  }
  const later = await processes.startService();
  const figures = [
    { what: "first start until it listens", value: median(startsMs) / 1_000, unit: "s", atMost: 1 },
    { what: "later start until it listens", value: later.startMs / 1_000, unit: "s", atMost: 1 },
    await measureRss("first start", first, load, scale),
    await measureRss("later start", later, load, scale),
  ];
  return [{ title: `start, and RSS after ${scale.lookupsBeforeRss.toLocaleString("en-US")} cached Lookups`, figures }];
}

async function measureRss(name: string, service: Service, load: Load, scale: Scale): Promise<Figure> {
  const before = await rssMbOf(service.pid);
  const pace = { kind: "closed", seconds: scale.seconds } as const;
  for (let calls = 0; calls < scale.lookupsBeforeRss;) {
    const { good } = await load.run({ target: service.target("gRPC"), request: "cached Lookup", ...SHAPE, pace });
    if (good.count === 0) {
      throw new Error("the service answered no call");
    }
    calls += good.count;
  }
  return {
    what: `RSS, ${name}`,
    value: await rssMbOf(service.pid),
    unit: "MB",
    atMost: MAX_MB,
    note: `(${before.toFixed(0)} MB before)`,
  };
}
