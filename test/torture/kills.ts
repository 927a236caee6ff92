import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "@connectrpc/connect";
import Database from "better-sqlite3";
import type { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { Vin } from "../../src/vehicle/vin.ts";
import { clientOf } from "../support/clients.ts";
import type { FakeVpic } from "../support/fake-vpic.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { manyVins } from "../support/real-vins.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { seeded } from "./seeded.ts";

/** One of the services that share a file. */
interface Replica {
  readonly service: ServiceProcess;
  readonly client: Client<typeof VehicleService>;
  readonly vpic: FakeVpic;
}

/** What killed services left behind. */
export interface KillResults {
  readonly removals: number;
  /** Acknowledged removals whose VINs are still in the cache. */
  readonly undone: readonly unknown[];
  /** Result of SQLite's `integrity_check`. */
  readonly integrity: unknown;
  /** Files of exports. */
  readonly leftovers: readonly string[];
  /** The longest start, in ms. */
  readonly startMs: number;
}

const CALLERS = 4;
const MOST_REMOVALS_PER_KILL = 16;
const MOST_KILLS = 100;
const MOST_DELAY_MS = 20;
const SEED = 15;

/** Runs two services on one SQLite file under load, and repeatedly ends one of them by `kill -9`. */
export async function killUnderLoad(kills: number): Promise<KillResults> {
  const random = seeded(SEED);
  await using directory = await temporaryDirectory();
  await using running = new AsyncDisposableStack();
  const exports = join(directory.path, "exports");
  const removed: Vin[] = [];
  const leftovers: string[] = [];
  const vins = manyVins(MOST_KILLS * (MOST_REMOVALS_PER_KILL + 2 * CALLERS)).values();
  let startMs = 0;

  async function start(): Promise<Replica> {
    const vpic = running.use(
      await startFakeVpic({ respondWith: () => ({ kind: "answer", delayMs: random() * MOST_DELAY_MS }) }),
    );
    const begunAt = performance.now();
    const service = running.use(
      await ServiceProcess.start({
        DATA_DIR: directory.path,
        SOURCES: "vpic",
        VPIC_URL: vpic.url,
        VPIC_REQUESTS_PER_SECOND: "1000",
        RATE_LIMIT_PER_SECOND: "1000000",
        RATE_LIMIT_BURST: "1000000",
      }),
    );
    startMs = Math.max(startMs, performance.now() - begunAt);
    leftovers.push(...(await readdir(exports)));
    return { service, client: clientOf(service), vpic };
  }

  let [victim, other] = [await start(), await start()];
  for (let kill = 0; kill < kills; kill++) {
    const end = removed.length + 1 + Math.floor(random() * MOST_REMOVALS_PER_KILL);
    const [killed, survivor] = [victim, other];
    const unread = killed.client.export({})[Symbol.asyncIterator]();
    await unread.next();
    await Promise.all(
      Array.from({ length: CALLERS }, async () => {
        while (removed.length < end) {
          removed.push(...(await removeDuringDecodes(vins.next().value, killed, survivor)));
        }
        const exporting = Promise.allSettled([Array.fromAsync(killed.client.export({}))]);
        await killed.service.stop("SIGKILL");
        await exporting;
      }),
    );
    [victim, other] = [survivor, await start()];
  }
  await Promise.all([victim, other].map(({ service }) => service.stop()));

  const database = new Database(join(directory.path, "vehicles.db"), { readonly: true });
  const undone = database
    .prepare("select vin from vehicles where vin in (select value from json_each(?))")
    .all(JSON.stringify(removed));
  const integrity = database.pragma("integrity_check", { simple: true });
  database.close();
  return { removals: removed.length, undone, integrity, leftovers, startMs };
}

/** Removes a VIN while both services decode it. Returns the VIN if the removal was acknowledged. */
async function removeDuringDecodes(vin: Vin | undefined, killed: Replica, survivor: Replica): Promise<Vin[]> {
  if (vin === undefined) {
    throw new Error("there are not enough VINs");
  }
  const [cached] = await Promise.allSettled([survivor.client.lookup({ vin })]);
  if (cached.status === "rejected") {
    return [];
  }
  const asked = Promise.all([killed.vpic.whenAsked(vin), survivor.vpic.whenAsked(vin)]);
  const decodes = Promise.allSettled([
    killed.client.lookup({ vin, maxAge: {} }),
    Array.fromAsync(survivor.client.batchLookup({ vins: [vin], maxAge: {} })),
  ]);
  // What begins after a Remove may be stored, so both decodes must have begun, or have failed with their service.
  await Promise.race([asked, decodes]);
  const [removal] = await Promise.allSettled([killed.client.remove({ vin }), decodes]);
  return removal.status === "fulfilled" ? [vin] : [];
}
