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

/**
 * Makes cached Lookups in a closed loop, for whole seconds.
 *
 * h2load sees only the HTTP status, which is 200 for refused gRPC calls as well. But all good answers have the same
 * size, and refusals are smaller. The number of refusals is computed from the bytes that are missing.
 */
export async function runH2load(
  { target, connections, callsEach }: Omit<Order, "pace" | "request">,
  seconds: number,
): Promise<Throughput> {
  await using directory = await temporaryDirectory();
  const body = join(directory.path, "body");
  await writeFile(body, lookupBody(target));
  const headers = Object.entries({ "content-type": contentTypeOf(target), ...headersOf(target) });
  const load = async (...extent: readonly string[]): Promise<Counts> =>
    countsOf(
      await run("h2load", [
        ...(target.protocol === "Connect" ? ["--h1"] : []),
        ...extent,
        `--data=${body}`,
        ...headers.map(([name, value]) => `--header=${name}: ${value}`),
        `${target.ca === undefined ? "http" : "https"}://${target.address}${LOOKUP_PATH}`,
      ]),
    );

  const one = await load("--requests=1", "--clients=1");
  const { succeeded, failed, perSecond, dataBytes } = await load(
    `--duration=${Math.ceil(seconds)}`,
    `--clients=${connections}`,
    `--max-concurrent-streams=${callsEach}`,
  );
  if (one.dataBytes === 0) {
    throw new Error(`${target.address} refuses cached Lookups`);
  }
  const calls = Math.min(succeeded, Math.floor(dataBytes / one.dataBytes));
  return { calls, callsPerSecond: (perSecond * calls) / succeeded, failed: failed + succeeded - calls };
}

interface Counts {
  readonly succeeded: number;
  readonly failed: number;
  readonly perSecond: number;
  readonly dataBytes: number;
}

function countsOf({ stdout }: { readonly stdout: string }): Counts {
  return {
    succeeded: Number(/, (\d+) succeeded/.exec(stdout)?.[1]),
    failed: Number(/, (\d+) failed/.exec(stdout)?.[1]),
    perSecond: Number(/, ([\d.]+) req\/s/.exec(stdout)?.[1]),
    dataBytes: Number(/ \((\d+)\) data/.exec(stdout)?.[1]),
  };
}
