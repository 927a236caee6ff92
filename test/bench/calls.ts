/**
 * Measures what calls cost, and how they end under load. Compares the service, in a process of its own, with yardsticks
 * that are started here. Tokens, rate limit, deadlines, metrics and logs are on, and the snapshot is loaded.
 *
 *     node test/bench/calls.ts [--only NAME]... [--before DIR] [--rounds N] [--seconds N] [--smoke]
 *
 * --only: a measurement, by its name below. --before: a checkout of an older version, with its packages installed, for
 * the comparison over gRPC-Web. --rounds: number of interleaved runs. --seconds: duration of a run. --smoke: small
 * sizes that only show that everything runs; nothing is judged.
 *
 * The load comes from h2load where it is installed and has the protocol, otherwise from a process of ours. It needs a
 * core, and the server under load needs another.
 */
import { availableParallelism, cpus, loadavg } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";

import { temporaryDirectory } from "../support/temporary-directory.ts";
import { measureBursts } from "./calls/bursts.ts";
import { hasH2load } from "./calls/h2load.ts";
import { measureOverload } from "./calls/overload.ts";
import { Processes } from "./calls/processes.ts";
import type { Section } from "./calls/report.ts";
import { isMissed, toTable } from "./calls/report.ts";
import type { Scale } from "./calls/scale.ts";
import { FULL, SMOKE } from "./calls/scale.ts";
import { measureSize } from "./calls/size.ts";
import { measureConnect, measureGrpc, measureGrpcWeb, measureTracing } from "./calls/speed.ts";
import { measureWaitingCallers } from "./calls/waiting-callers.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    before: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    smoke: { type: "boolean", default: false },
  },
});
const sizes = values.smoke ? SMOKE : FULL;
const scale: Scale = {
  ...sizes,
  rounds: Number(values.rounds ?? sizes.rounds),
  seconds: Number(values.seconds ?? sizes.seconds),
  longSeconds: Number(values.seconds ?? sizes.longSeconds),
};
const before = values.before === undefined ? undefined : resolve(values.before);

const MEASUREMENTS: Readonly<Record<string, (processes: Processes) => Promise<Section[]>>> = {
  grpc: (processes) => measureGrpc(processes, scale),
  connect: (processes) => measureConnect(processes, scale),
  "grpc-web": (processes) => measureGrpcWeb(processes, scale, before),
  tracing: (processes) => measureTracing(processes, scale),
  waiting: (processes) => measureWaitingCallers(processes, scale),
  bursts: (processes) => measureBursts(processes, scale),
  overload: (processes) => measureOverload(processes, scale),
  size: (processes) => measureSize(processes, scale),
};

await using directory = await temporaryDirectory();
const sections: Section[] = [];
let running: Processes | undefined;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  // The running measurement then fails because its processes have ended, and the rest is cleaned up as after any
  // failure.
  process.once(signal, () => void running?.[Symbol.asyncDispose]());
}
const loadBefore = loadAverage();
for (const name of values.only ?? Object.keys(MEASUREMENTS)) {
  const measure = MEASUREMENTS[name];
  if (measure === undefined) {
    throw new Error(`no measurement is called ${name}; there are ${Object.keys(MEASUREMENTS).join(", ")}`);
  }
  await using processes = new Processes(directory.path);
  running = processes;
  console.error(`measuring ${name}`);
  sections.push(...(await measure(processes)));
}

console.log(toTable(sections));
console.log(
  `\n${availableParallelism()} cores of ${cpus()[0]?.model}, Node ${process.version}, load average ${loadBefore} before and ${loadAverage()} after, load by ${(await hasH2load()) ? "h2load where it can" : "raw frames"}`,
);
const missed = sections.flatMap(({ figures }) => figures).filter(isMissed).length;
if (values.smoke) {
  console.log("sizes are small: the verdicts mean nothing");
} else if (missed > 0) {
  console.log(`${missed} bounds were missed`);
  process.exitCode = 1;
}

function loadAverage(): string {
  return (loadavg()[0] ?? 0).toFixed(1);
}
