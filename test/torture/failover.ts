import { setTimeout as pause } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { Vin } from "../../src/vehicle/vin.ts";
import { clientOf } from "../support/clients.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { MovableAddress } from "../support/movable-address.ts";
import { connect, PostgresServer } from "../support/postgres.ts";
import { manyVins } from "../support/real-vins.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** What callers saw while a standby took over. */
export interface FailoverResults {
  readonly lookups: number;
  readonly failedLookups: readonly string[];
  /** Acknowledged ones. */
  readonly removals: number;
  /** Removals that were refused with UNAVAILABLE. */
  readonly refused: number;
  /** Those that failed with another code. */
  readonly otherFailures: readonly string[];
  /** Acknowledged while there was no primary. */
  readonly unfounded: number;
  /** Acknowledged removals whose vehicles are in the cache. */
  readonly undone: readonly unknown[];
  /** From the promotion until a removal was acknowledged and a Lookup was answered from the cache, in ms. */
  readonly recoveredMs: number;
}

const KEPT_VINS = 20;
const MOST_VINS = 20_000;
const LOOK_EVERY_MS = 20;
/** On a busy machine any call may be slow. */
const PATIENT = { timeoutMs: 60_000 };

/**
 * Lets a standby take over from a primary while two services are called. One of them decodes each vehicle that the other
 * removes.
 *
 * @param old what becomes of connections to the old primary; see `MovableAddress`.
 */
export async function failOver(old: "closed" | "silent"): Promise<FailoverResults> {
  await using stack = new AsyncDisposableStack();
  const primary = stack.use(await PostgresServer.start({ settings: ["synchronous_standby_names=*"] }));
  const standby = stack.use(await primary.startStandby());
  const address = stack.use(await MovableAddress.start(primary.socketPath));
  const database = await primary.createDatabase("failover");
  const vpic = stack.use(await startFakeVpic());

  async function start(): Promise<Client<typeof VehicleService>> {
    const directory = stack.use(await temporaryDirectory());
    const service = await ServiceProcess.start({
      DATA_DIR: directory.path,
      DATABASE_URL: `postgres://postgres@127.0.0.1:${address.port}${new URL(database).pathname}`,
      SOURCES: "vpic",
      VPIC_URL: vpic.url,
      VPIC_REQUESTS_PER_SECOND: "1000",
      RATE_LIMIT_PER_SECOND: "1000000",
      RATE_LIMIT_BURST: "1000000",
    });
    return clientOf(stack.use(service));
  }

  const [removing, decoding] = [await start(), await start()];
  const [kept, removable] = [manyVins(KEPT_VINS), manyVins(MOST_VINS).slice(KEPT_VINS).values()];
  const removed: Vin[] = [];
  const failedLookups: string[] = [];
  const otherFailures: string[] = [];
  let [lookups, cachedLookups, refused, unfounded] = [0, 0, 0, 0];
  let hasPrimary = true;
  const over = new AbortController();

  async function lookUp(vin: Vin, maxAge?: object): Promise<void> {
    try {
      const { cached } = await decoding.lookup({ vin, maxAge }, PATIENT);
      lookups++;
      cachedLookups += cached ? 1 : 0;
    } catch (error) {
      failedLookups.push(ConnectError.from(error).message);
    }
  }

  async function lookUpKept(): Promise<void> {
    while (!over.signal.aborted) {
      for (const vin of kept) {
        await lookUp(vin);
      }
    }
  }

  async function removeOthers(): Promise<void> {
    for (const vin of removable) {
      if (over.signal.aborted) {
        return;
      }
      const asked = vpic.whenAsked(vin);
      const decode = lookUp(vin, {});
      // What begins after a Remove may be stored, so the decode must have begun.
      await Promise.race([asked, decode]);
      const hadPrimary = hasPrimary;
      try {
        await removing.remove({ vin }, PATIENT);
        removed.push(vin);
        unfounded += hadPrimary || hasPrimary ? 0 : 1;
      } catch (error) {
        const { code, message } = ConnectError.from(error);
        refused += code === Code.Unavailable ? 1 : 0;
        otherFailures.push(...(code === Code.Unavailable ? [] : [message]));
      }
      await decode;
    }
  }

  /** Waits until `count` has grown by that much. */
  async function more(by: number, count: () => number): Promise<void> {
    const wanted = count() + by;
    while (count() < wanted) {
      await pause(LOOK_EVERY_MS);
    }
  }

  const calls = Promise.all([lookUpKept(), removeOthers()]);
  await more(20, () => removed.length);
  if (old === "silent") {
    address.moveTo(standby.socketPath, old);
  }
  await primary.stop();
  hasPrimary = false;
  await more(3, () => refused);
  address.moveTo(standby.socketPath, old);
  await more(3, () => refused);
  hasPrimary = true;
  await standby.promote();
  const promotedAt = performance.now();
  await Promise.all([more(1, () => removed.length), more(1, () => cachedLookups)]);
  const recoveredMs = performance.now() - promotedAt;
  await Promise.all([more(20, () => removed.length), more(20, () => cachedLookups)]);
  over.abort();
  await calls;

  const direct = await connect(`postgres://postgres@localhost/failover?host=${encodeURIComponent(standby.directory)}`);
  const left: { vin: string }[] = await direct.em.execute("select vin from vehicles");
  await direct.close();
  const undone = left.filter(({ vin }) => removed.some((gone) => gone === vin));
  return { lookups, failedLookups, removals: removed.length, refused, otherFailures, unfounded, undone, recoveredMs };
}
