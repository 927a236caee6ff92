import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { openVehicleStore, type OpenVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { StoreUnavailableError } from "../../src/vehicle/errors.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { connect, createDatabase, PostgresServer } from "../support/postgres.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { decodeOf, NOON, store } from "../support/vehicle-samples.ts";

const VIN = parseVin("1XPWD40X1ED215307");
const RETRY_MS = 1_000;
/** Waits, in PostgreSQL, until somebody has begun to wait for an advisory lock for the second time. */
const UNTIL_SECOND_ATTEMPT = `do $$
  declare first timestamptz; latest timestamptz;
  begin
    loop
      select waitstart into latest from pg_locks where locktype = 'advisory' and not granted;
      first := coalesce(first, latest);
      exit when latest > first;
      perform pg_sleep(0.005);
    end loop;
  end $$`;

/** A server of its own, for it is stopped. */
let server: PostgresServer;
let databases = 0;
let databaseUrl: string;
let elapsed: number;

beforeAll(async () => {
  server = await PostgresServer.start();
});

afterAll(() => server[Symbol.asyncDispose]());

beforeEach(async () => {
  databaseUrl = await createDatabase(server.directory, `faults_${databases++}`);
  elapsed = 0;
});

function open(): Promise<OpenVehicleStore> {
  return openVehicleStore({ databaseUrl, logger: new MemoryLogger(), now: () => NOON, elapsedMs: () => elapsed });
}

async function untilItAnswers(vehicles: OpenVehicleStore): Promise<void> {
  await expect
    .poll(async () => {
      elapsed += RETRY_MS;
      return vehicles.ping().then(() => "answers", String);
    })
    .toBe("answers");
}

describe("a PostgreSQL server", () => {
  test("that is down at the start leaves the service without a cache until it is up", async () => {
    await server.stop();
    await using vehicles = await open();
    const stored = await store(vehicles, { vin: VIN }, decodeOf(VIN));
    const found = await vehicles.find({ vin: VIN }, "basic");
    const many = await vehicles.findMany([{ vin: VIN }, { vin: VIN }], "basic");
    await expect(vehicles.remove(VIN)).rejects.toThrow(StoreUnavailableError);
    await server.resume();

    await untilItAnswers(vehicles);
    const storedLater = await store(vehicles, { vin: VIN }, decodeOf(VIN));

    expect([stored, found, many, storedLater]).toEqual([false, undefined, [undefined, undefined], true]);
    expect(await vehicles.find({ vin: VIN }, "full")).toEqual(decodeOf(VIN));
  });

  test("that goes down in use makes misses, and what it kept is there when it is up again", async () => {
    await using vehicles = await open();
    await store(vehicles, { vin: VIN }, decodeOf(VIN));
    const before = await vehicles.removalsOf(VIN);
    await server.stop();
    const found = await vehicles.find({ vin: VIN }, "basic");
    const stored = await vehicles.put({ vin: VIN }, decodeOf(VIN), before);
    await expect(vehicles.remove(VIN)).rejects.toThrow(StoreUnavailableError);
    await server.resume();

    await untilItAnswers(vehicles);

    expect([found, stored]).toEqual([undefined, false]);
    expect(vehicles.faults()).toEqual({ reads: 1, writes: 1 });
    expect(await vehicles.find({ vin: VIN }, "full")).toEqual(decodeOf(VIN));
    expect(await vehicles.put({ vin: VIN }, decodeOf(VIN), before)).toBe(true);
  });

  test("is asked again when others hold a VIN's lock for longer than one attempt waits", async () => {
    await using vehicles = await open();
    await store(vehicles, { vin: VIN }, decodeOf(VIN));
    const orm = await connect(databaseUrl);
    const holding = Promise.withResolvers<void>();
    const holder = orm.em.fork().transactional(async (transaction) => {
      await transaction.execute("select pg_advisory_xact_lock(hashtextextended(?, 0))", [VIN]);
      holding.resolve();
      await transaction.execute(UNTIL_SECOND_ATTEMPT);
    });
    await holding.promise;

    const removal = vehicles.remove(VIN);

    expect(await removal).toBe(true);
    await holder;
    await orm.close();
  });
});
