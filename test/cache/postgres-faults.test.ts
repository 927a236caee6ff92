import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { openVehicleStore, type OpenVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { StoreUnavailableError } from "../../src/vehicle/errors.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { eventually } from "../support/eventually.ts";
import { FreezingProxy } from "../support/freezing-proxy.ts";
import { connect, PostgresServer } from "../support/postgres.ts";
import { createSharedDatabase } from "../support/shared.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { decodeOf, NOON, someVins, store } from "../support/vehicle-samples.ts";

const VIN = parseVin("1XPWD40X1ED215307");
const RETRY_MS = 1_000;
/** Waits, in PostgreSQL, until another session has started to wait for a row's lock for the second time. */
const UNTIL_SECOND_ATTEMPT = `do $$
  declare first timestamptz; latest timestamptz;
  begin
    loop
      select waitstart into latest from pg_locks where locktype = 'transactionid' and not granted;
      first := coalesce(first, latest);
      exit when latest > first;
      perform pg_sleep(0.005);
    end loop;
  end $$`;

const LOCK_ROW = `insert into vehicle_removals (vin, generation, removed_at) values ('${VIN}', 1, 0)`;

let server: PostgresServer;
let databases = 0;
let databaseUrl: string;
let logger: MemoryLogger;
let elapsed: number;
/** On a busy machine, even a healthy server may be slow. */
let readTimeoutMs: number;

beforeAll(async () => {
  server = await PostgresServer.start();
});

afterAll(() => server[Symbol.asyncDispose]());

beforeEach(async () => {
  databaseUrl = await server.createDatabase(`faults_${databases++}`);
  logger = new MemoryLogger();
  elapsed = 0;
  readTimeoutMs = 10_000;
});

function open(): Promise<OpenVehicleStore> {
  return openVehicleStore({ databaseUrl, logger, now: () => NOON, elapsedMs: () => elapsed, readTimeoutMs });
}

async function untilItAnswers(vehicles: OpenVehicleStore): Promise<void> {
  await eventually(async () => {
    elapsed += RETRY_MS;
    await vehicles.ping();
  });
}

async function execute(statement: string): Promise<void> {
  const orm = await connect(databaseUrl);
  await orm.em.execute(statement);
  await orm.close();
}

/** Open transactions, which also hold locks, of callers that have left. */
async function leftovers(url: string): Promise<unknown> {
  const orm = await connect(url);
  const rows = await orm.em.execute<unknown[]>(
    "select pid from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'",
  );
  await orm.close();
  return rows;
}

/** Runs 16 callers until the signal is aborted. Only removals may fail. */
async function callUntil(vehicles: OpenVehicleStore, stopped: AbortSignal, onRound: () => void): Promise<void> {
  await Promise.all(
    someVins(16).map(async (vin) => {
      while (!stopped.aborted) {
        await store(vehicles, { vin }, decodeOf(vin));
        await vehicles.find({ vin }, "full");
        await vehicles.remove(vin).catch(allowUnavailable);
        onRound();
      }
    }),
  );
}

function allowUnavailable(error: unknown): void {
  if (!(error instanceof StoreUnavailableError)) {
    throw error;
  }
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

  test("that goes down causes misses, and still has its entries when it is up again", async () => {
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
    expect(vehicles.faults()).toEqual({ reads: 1, writes: 1, removals: 1 });
    expect(await vehicles.find({ vin: VIN }, "full")).toEqual(decodeOf(VIN));
    expect(await vehicles.put({ vin: VIN }, decodeOf(VIN), before)).toBe(true);
  });

  test.each([
    ["all tables were", "drop table vehicles, vehicle_removals, mikro_orm_migrations"],
    ["the vehicles were", "drop table vehicles"],
    ["the records of removals were", "drop table vehicle_removals"],
  ])("gets new tables when %s dropped", async (_, drop) => {
    await using vehicles = await open();
    await store(vehicles, { vin: VIN }, decodeOf(VIN));
    const before = await vehicles.removalsOf(VIN);
    await execute(drop);

    const found = await vehicles.findMany([{ vin: VIN }], "basic");
    const stored = await vehicles.put({ vin: VIN }, decodeOf(VIN), before);
    await vehicles.ping();
    elapsed += RETRY_MS;
    const storedLater = await store(vehicles, { vin: VIN }, decodeOf(VIN));

    expect([found, stored, storedLater]).toEqual([expect.anything(), false, true]);
    expect(await vehicles.find({ vin: VIN }, "full")).toEqual(decodeOf(VIN));
  });

  test("gets new tables when the tables of the fleet were dropped", async () => {
    await using vehicles = await open();
    await execute("drop table fleet_leases");

    await vehicles.ping();

    const text = "select vin from fleet_leases";
    expect(await vehicles.coordinate({ sqlite: text, postgres: text }, [])).toEqual([]);
  });

  test("is asked again when others hold a VIN's lock for longer than one attempt waits for it", async () => {
    await using vehicles = await open();
    await store(vehicles, { vin: VIN }, decodeOf(VIN));
    const orm = await connect(databaseUrl);
    const holding = Promise.withResolvers<void>();
    const holder = orm.em.fork().transactional(async (transaction) => {
      await transaction.execute(LOCK_ROW);
      holding.resolve();
      await transaction.execute(UNTIL_SECOND_ATTEMPT);
    });
    await holding.promise;

    const removal = vehicles.remove(VIN);

    expect(await removal).toBe(true);
    await holder;
    await orm.close();
  });

  test("is asked at most five times while others hold a VIN's lock", async () => {
    await using vehicles = await open();
    const before = await vehicles.removalsOf(VIN);
    const orm = await connect(databaseUrl);

    await orm.em.fork().transactional(async (holder) => {
      await holder.execute(LOCK_ROW);
      await expect(vehicles.remove(VIN)).rejects.toThrow(StoreUnavailableError);
      expect(await vehicles.put({ vin: VIN }, decodeOf(VIN), before)).toBe(false);
      expect(await vehicles.find({ vin: VIN }, "basic")).toBeUndefined();
    });

    await orm.close();
  });

  test("does not count entries for longer than a transaction may take", async () => {
    await using vehicles = await open();
    const orm = await connect(databaseUrl);

    await orm.em.fork().transactional(async (holder) => {
      await holder.execute("lock table vehicles in access exclusive mode");
      expect(await vehicles.contents()).toBeUndefined();
      expect(await holder.execute("select pid from pg_locks where not granted")).toEqual([]);
    });

    expect(await vehicles.contents()).toMatchObject({ entries: [] });
    await orm.close();
  });

  test("that restarts five times under 16 callers serves them all again and keeps no transaction or lock of theirs", async () => {
    await using vehicles = await open();
    const stop = new AbortController();
    let rounds = 0;
    const calls = callUntil(vehicles, stop.signal, () => rounds++);
    for (let restart = 1; restart <= 5; restart++) {
      const roundsBefore = rounds;
      await eventually(() => expect(rounds).toBeGreaterThan(roundsBefore + 50));
      await server.stop();
      await server.resume();
      await untilItAnswers(vehicles);
    }
    stop.abort();
    await calls;

    const removed = await Promise.all(someVins(16).map((vin) => vehicles.remove(vin)));
    const stored = await store(vehicles, { vin: VIN }, decodeOf(VIN));

    expect(removed).toHaveLength(16);
    expect(stored).toBe(true);
    expect(await leftovers(databaseUrl)).toEqual([]);
  });
});

describe("a PostgreSQL server that falls silent", () => {
  let proxy: FreezingProxy;
  let directUrl: string;

  beforeEach(async () => {
    proxy = await FreezingProxy.start(server.socketPath);
    directUrl = databaseUrl;
    databaseUrl = `postgres://postgres@127.0.0.1:${proxy.port}${new URL(databaseUrl).pathname}`;
    readTimeoutMs = 200;
  });

  afterEach(() => proxy[Symbol.asyncDispose]());

  test("makes reads miss, drops writes and fails removals while it is silent", async () => {
    await using vehicles = await open();
    proxy.freeze();

    const found = await Promise.all(someVins(50).map(async (vin) => await vehicles.find({ vin }, "full")));
    const stored = await Promise.all(someVins(50).map((vin) => store(vehicles, { vin }, decodeOf(vin))));
    const removals = await Promise.allSettled(someVins(50).map((vin) => vehicles.remove(vin)));

    expect(found.every((vehicle) => vehicle === undefined)).toBe(true);
    expect(stored.some((wasStored) => wasStored)).toBe(false);
    expect(removals.every(({ status }) => status === "rejected")).toBe(true);
  });

  test("does not make running puts wait for it", async () => {
    await using vehicles = await open();
    await vehicles.ping();
    proxy.freeze();

    const stored = await Promise.all(someVins(300).map((vin) => vehicles.put({ vin }, decodeOf(vin), 1)));

    expect(stored.some((wasStored) => wasStored)).toBe(false);
  });

  test("under 16 callers serves them again afterwards and keeps no transaction or lock of theirs", async () => {
    await using vehicles = await open();
    const stop = new AbortController();
    let rounds = 0;
    const calls = callUntil(vehicles, stop.signal, () => rounds++);
    await eventually(() => expect(rounds).toBeGreaterThan(50));
    proxy.freeze();
    await expect(vehicles.ping()).rejects.toThrow(StoreUnavailableError);
    await expect(vehicles.remove(VIN)).rejects.toThrow(StoreUnavailableError);
    proxy.thaw();
    await untilItAnswers(vehicles);
    stop.abort();
    await calls;

    const removed = await Promise.all(someVins(16).map((vin) => vehicles.remove(vin)));

    expect(removed).toHaveLength(16);
    await eventually(async () => expect(await leftovers(directUrl)).toEqual([]));
  });

  test("does not prevent the store from closing", async () => {
    const vehicles = await open();
    const calls = Promise.allSettled([vehicles.remove(VIN), vehicles.find({ vin: VIN }, "full")]);
    proxy.freeze();

    await vehicles[Symbol.asyncDispose]();

    await expect(calls).resolves.toHaveLength(2);
  });

  test("when the cache is opened leaves the service without a cache", async () => {
    proxy.freeze();

    await using vehicles = await open();

    expect(await vehicles.find({ vin: VIN }, "basic")).toBeUndefined();
    await expect(vehicles.remove(VIN)).rejects.toThrow(StoreUnavailableError);
  });
});

test("a closed store leaves no connection open, so that the process can end", async () => {
  const url = await createSharedDatabase("closed");
  const vehicles = await openVehicleStore({ databaseUrl: url, logger: silentLogger, readTimeoutMs: 10_000 });
  await store(vehicles, { vin: VIN }, decodeOf(VIN));

  await vehicles[Symbol.asyncDispose]();

  // PostgreSQL waits for connections that are closing, and refuses while others are open.
  const orm = await connect(await createSharedDatabase("other"));
  const dropping = orm.em.execute(`drop database "${new URL(url).pathname.slice(1)}"`);
  await expect(dropping).resolves.toBeDefined();
  await orm.close();
});
