import { parseVin } from "../../src/vehicle/vin.ts";
import { clientOf } from "../support/clients.ts";
import { errorOf } from "../support/error-of.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { manyVins } from "../support/real-vins.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { Finding } from "./finding.ts";
import { measured } from "./finding.ts";
import type { Row } from "./row.ts";

/** What a caller waits for vPIC, and what the snapshot may take after that. */
const SNAPSHOT_BY_MS = 2_500;
const VIN = parseVin("1XPWD40X1ED215307");

/** What is promised about time, on a quiet machine. Not in the table, and so without a number in it. */
export const rowsOfTimes: readonly Row[] = [
  {
    number: "times",
    title: "promised times",
    test: "never",
    async run() {
      return [await answerWithoutVpic(), await keepDeadlines()];
    },
  },
];

/** How long something takes, in ms. */
async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** A caller has the snapshot's answer when its patience with vPIC has ended, and at once when vPIC is left alone. */
async function answerWithoutVpic(): Promise<Finding> {
  await using directory = await temporaryDirectory();
  await using vpic = await startFakeVpic({ respondWith: { kind: "silence" } });
  await using service = await ServiceProcess.start({ DATA_DIR: directory.path, VPIC_URL: vpic.url });
  await service.logged("snapshot ready");
  const client = clientOf(service);
  const times: number[] = [];
  for (const vin of manyVins(8)) {
    times.push(await timeOf(() => client.lookup({ vin })));
  }
  return {
    what: "eight new VINs while vPIC is silent",
    figures: [
      measured("the slowest ms", Math.max(...times), { atMost: SNAPSHOT_BY_MS }),
      measured("the last ms", times.at(-1) ?? Number.NaN, { atMost: 300 }),
    ],
  };
}

/** A call ends by its deadline plus 100 ms, and is told why before that when vPIC does not answer. */
async function keepDeadlines(): Promise<Finding> {
  await using directory = await temporaryDirectory();
  await using vpic = await startFakeVpic({ respondWith: { kind: "silence" } });
  await using service = await ServiceProcess.start({ DATA_DIR: directory.path, SOURCES: "vpic", VPIC_URL: vpic.url });
  const client = clientOf(service);
  const value = await timeOf(() => errorOf(client.lookup({ vin: VIN }, { timeoutMs: 1_200 })));
  return { what: "a deadline of 1.2 s", figures: [measured("ended ms", value, { atMost: 1_300 })] };
}
