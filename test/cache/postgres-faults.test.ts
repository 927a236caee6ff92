import { once } from "node:events";
import { createServer, type Socket } from "node:net";

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { openVehicleStore, type OpenVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { StoreUnavailableError } from "../../src/vehicle/errors.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { connect, PostgresServer } from "../support/postgres.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { decodeOf, NOON, store } from "../support/vehicle-samples.ts";

const VIN = parseVin("1XPWD40X1ED215307");
const RETRY_MS = 1_000;

let server: PostgresServer;
let databases = 0;
let databaseUrl: string;
let logger: MemoryLogger;
let elapsed: number;

beforeAll(async () => {
  server = await PostgresServer.start();
});

afterAll(() => server[Symbol.asyncDispose]());

beforeEach(async () => {
  databaseUrl = await server.createDatabase(`faults_${databases++}`);
  logger = new MemoryLogger();
  elapsed = 0;
});

function open(): Promise<OpenVehicleStore> {
  return openVehicleStore({ databaseUrl, logger, now: () => NOON, elapsedMs: () => elapsed });
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

  test("that has fallen silent keeps nobody waiting for long", async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => sockets.add(socket)).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const address = silent.address();
    const port = typeof address === "object" ? address?.port : undefined;
    databaseUrl = `postgres://postgres@127.0.0.1:${port}/vehicles`;
    const start = performance.now();

    await using vehicles = await open();
    const found = await vehicles.find({ vin: VIN }, "basic");
    elapsed += RETRY_MS;
    const foundLater = await vehicles.find({ vin: VIN }, "basic");
    const tookMs = performance.now() - start;

    expect([found, foundLater]).toEqual([undefined, undefined]);
    expect(tookMs).toBeLessThan(2_000);
    for (const socket of sockets) {
      socket.destroy();
    }
    silent.close();
  });

  test("whose tables were all dropped gets them anew", async () => {
    await using vehicles = await open();
    await store(vehicles, { vin: VIN }, decodeOf(VIN));
    const orm = await connect(databaseUrl);
    await orm.em.execute("drop table vehicles, vehicle_removals, mikro_orm_migrations");
    await orm.close();

    const found = await vehicles.find({ vin: VIN }, "basic");
    const stored = await store(vehicles, { vin: VIN }, decodeOf(VIN));

    expect([found, stored]).toEqual([undefined, true]);
  });

  test("is asked again when others hold a VIN's lock for long", async () => {
    await using vehicles = await open();
    await store(vehicles, { vin: VIN }, decodeOf(VIN));
    const orm = await connect(databaseUrl);
    const released = Promise.withResolvers<void>();
    const holding = Promise.withResolvers<void>();
    const holder = orm.em.fork().transactional(async (transaction) => {
      await transaction.execute("select pg_advisory_xact_lock(hashtextextended(?, 0))", [VIN]);
      holding.resolve();
      await released.promise;
    });
    await holding.promise;

    const removal = vehicles.remove(VIN);
    // Longer than one attempt waits, shorter than all.
    setTimeout(released.resolve, 150);

    expect(await removal).toBe(true);
    await holder;
    await orm.close();
  });

  test("is waited for only so long when others hold a VIN's lock", async () => {
    await using vehicles = await open();
    const before = await vehicles.removalsOf(VIN);
    const orm = await connect(databaseUrl);
    const start = performance.now();

    await orm.em.fork().transactional(async (holder) => {
      await holder.execute("select pg_advisory_xact_lock(hashtextextended(?, 0))", [VIN]);
      await expect(vehicles.remove(VIN)).rejects.toThrow(StoreUnavailableError);
      expect(await vehicles.put({ vin: VIN }, decodeOf(VIN), before)).toBe(false);
      expect(await vehicles.find({ vin: VIN }, "basic")).toBeUndefined();
    });

    expect(performance.now() - start).toBeLessThan(2_000);
    await orm.close();
  });
});
