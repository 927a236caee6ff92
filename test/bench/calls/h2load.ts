import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { temporaryDirectory } from "../../support/temporary-directory.ts";
import type { Throughput } from "./compare.ts";
import type { Order } from "./load.ts";
import { contentTypeOf, headersOf, lookupBody, LOOKUP_PATH } from "./requests.ts";

const run = promisify(execFile);

/** Whether nghttp2's load generator is installed. */
export async function hasH2load(): Promise<boolean> {
  return await run("h2load", ["--version"]).then(
    () => true,
    () => false,
  );
}

/** Makes cached Lookups as an Order in a closed loop does, for whole seconds. It takes refused gRPC calls for good. */
export async function runH2load(
  { target, connections, callsEach }: Omit<Order, "pace" | "request">,
  seconds: number,
): Promise<Throughput> {
  await using directory = await temporaryDirectory();
  const body = join(directory.path, "body");
  await writeFile(body, lookupBody(target));
  const headers = Object.entries({ "content-type": contentTypeOf(target), ...headersOf(target) });
  const { stdout } = await run("h2load", [
    ...(target.protocol === "Connect" ? ["--h1"] : []),
    `--duration=${Math.ceil(seconds)}`,
    `--clients=${connections}`,
    `--max-concurrent-streams=${callsEach}`,
    `--data=${body}`,
    ...headers.map(([name, value]) => `--header=${name}: ${value}`),
    `${target.ca === undefined ? "http" : "https"}://${target.address}${LOOKUP_PATH}`,
  ]);
  return {
    calls: Number(/, (\d+) succeeded/.exec(stdout)?.[1]),
    callsPerSecond: Number(/, ([\d.]+) req\/s/.exec(stdout)?.[1]),
    failed: target.protocol === "Connect" ? Number(/, (\d+) failed/.exec(stdout)?.[1]) : undefined,
  };
}
