import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";

import Database from "better-sqlite3";

import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { clientOf } from "../support/clients.ts";
import { errorOf } from "../support/error-of.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { portOf } from "../support/port-of.ts";
import { manyVins } from "../support/real-vins.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { decodeOf, store } from "../support/vehicle-samples.ts";
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
      return [
        await answerWithoutVpic(),
        await keepDeadlines(),
        await answerBatches(),
        await openSilentPostgres(),
        await writeToLockedSqlite(),
      ];
    },
  },
];

function timed(what: string, name: string, value: number, atMost: number): Finding {
  return { what, figures: [measured(name, value, { atMost })] };
}

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
  return timed("a deadline of 1.2 s", "ended ms", value, 1_300);
}

/** A batch begins with its hits, and asks vPIC for the rest in few requests. */
async function answerBatches(): Promise<Finding> {
  await using directory = await temporaryDirectory();
  await using vpic = await startFakeVpic({ delayMs: 200 });
  await using service = await ServiceProcess.start({ DATA_DIR: directory.path, SOURCES: "vpic", VPIC_URL: vpic.url });
  const client = clientOf(service);
  const vins = manyVins(1_200);
  const cold = await timeOf(() => Array.fromAsync(client.batchLookup({ vins: vins.slice(0, 1_000) })));
  vpic.delayMs = 500;
  const answers = client.batchLookup({ vins: vins.slice(900, 1_100) })[Symbol.asyncIterator]();
  const first = await timeOf(() => answers.next());
  await Array.fromAsync({ [Symbol.asyncIterator]: () => answers });
  return {
    what: "batches at 200 ms a request to vPIC",
    figures: [
      measured("1,000 new VINs ms", cold, { atMost: 6_000 }),
      measured("first answer of one that is half cached ms", first, { atMost: 50 }),
    ],
  };
}

async function openSilentPostgres(): Promise<Finding> {
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => sockets.add(socket)).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const databaseUrl = `postgres://postgres@127.0.0.1:${portOf(silent)}/vehicles`;
  const value = await timeOf(async () => {
    await using vehicles = await openVehicleStore({ databaseUrl, logger: silentLogger });
    await vehicles.find({ vin: VIN }, "basic");
  });
  for (const socket of sockets) {
    socket.destroy();
  }
  silent.close();
  return timed("a PostgreSQL that has fallen silent", "start and first miss ms", value, 2_000);
}

async function writeToLockedSqlite(): Promise<Finding> {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "vehicles.db");
  await using vehicles = await openVehicleStore({ databaseUrl: `sqlite:${path}`, logger: silentLogger });
  await vehicles.ping();
  const other = new Database(path);
  other.exec("begin immediate");
  const value = await timeOf(() => store(vehicles, { vin: VIN }, decodeOf(VIN)));
  other.close();
  return timed("a SQLite file that another process has locked", "blocked ms", value, 500);
}
