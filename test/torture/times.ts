import { clientOf } from "../support/clients.ts";
import { errorOf } from "../support/error-of.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { manyVins } from "../support/real-vins.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { Finding } from "./finding.ts";
import { measured } from "./finding.ts";
import type { Row } from "./row.ts";
import { CACHED_VIN } from "./ways.ts";

/** How long a caller waits for vPIC, and how long the snapshot may take after that. */
const SNAPSHOT_BY_MS = 2_500;

/** Promises about time, on a quiet machine. The row has no number, because it is not in the table. */
export const rowOfTimes: Row = {
  number: "times",
  title: "promised times",
  test: "never",
  async *run() {
    await using vpic = await startFakeVpic({ respondWith: { kind: "silence" } });
    yield await answerWithoutVpic(vpic.url);
    yield await keepDeadlines(vpic.url);
  },
};

/** The duration of some work, in ms. */
async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** A caller gets the snapshot's answer when its patience with vPIC ends, or at once while the circuit breaker is open. */
async function answerWithoutVpic(vpicUrl: string): Promise<Finding> {
  await using directory = await temporaryDirectory();
  await using service = await ServiceProcess.start({ DATA_DIR: directory.path, VPIC_URL: vpicUrl });
  await service.logged("snapshot ready");
  const client = clientOf(service);
  const times: number[] = [];
  for (const vin of manyVins(8)) {
    times.push(await timeOf(() => client.lookup({ vin })));
  }
  return {
    what: "eight new VINs while vPIC is silent",
    figures: [
      measured("the slowest ms", Math.max(...times), SNAPSHOT_BY_MS),
      measured("the last ms", times.at(-1) ?? Number.NaN, 300),
    ],
  };
}

/** A call ends within 100 ms of its deadline. If vPIC does not answer, it ends before the deadline, with the reason. */
async function keepDeadlines(vpicUrl: string): Promise<Finding> {
  await using directory = await temporaryDirectory();
  await using service = await ServiceProcess.start({ DATA_DIR: directory.path, SOURCES: "vpic", VPIC_URL: vpicUrl });
  const client = clientOf(service);
  const value = await timeOf(() => errorOf(client.lookup({ vin: CACHED_VIN }, { timeoutMs: 1_200 })));
  return { what: "a deadline of 1.2 s", figures: [measured("ended ms", value, 1_300)] };
}
