import { beforeEach, describe, expect, test } from "vitest";
import { parseDatabaseUrl } from "../../src/cache/database-url.ts";
import { openExportedRows } from "../../src/cache/exported-rows.ts";
import { openVehicleStore, type OpenVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { StoreUnavailableError } from "../../src/vehicle/errors.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { MovableAddress } from "../support/movable-address.ts";
import { PostgresServer } from "../support/postgres.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { decodeOf, NOON, store } from "../support/vehicle-samples.ts";

const VIN = parseVin("1XPWD40X1ED215307");

describe.each(["closed", "silent"] as const)("when a standby takes over and the old connections are %s", (old) => {
  let primary: PostgresServer;
  let standby: PostgresServer;
  let address: MovableAddress;
  let databaseUrl: string;
  let vehicles: OpenVehicleStore;

  beforeEach(async () => {
    const stack = new AsyncDisposableStack();
    // The standby has applied what the primary has acknowledged. Otherwise, it might not even have the database yet.
    const settings = ["synchronous_standby_names=*", "synchronous_commit=remote_apply"];
    primary = stack.use(await PostgresServer.start({ settings }));
    standby = stack.use(await primary.startStandby());
    address = stack.use(await MovableAddress.start(primary.socketPath));
    const { pathname } = new URL(await primary.createDatabase("failover"));
    databaseUrl = `postgres://postgres@127.0.0.1:${address.port}${pathname}`;
    vehicles = stack.use(
      await openVehicleStore({ databaseUrl, logger: silentLogger, now: () => NOON, readTimeoutMs: 5_000 }),
    );
    return () => stack.disposeAsync();
  });

  /** Uses all connections of the pool, as a busy service does. */
  async function useAllConnections(): Promise<void> {
    const statement = { sqlite: "", postgres: "select 1" };
    await Promise.all(Array.from({ length: 10 }, () => vehicles.coordinate(statement, [])));
  }

  async function moveAddress(): Promise<void> {
    await useAllConnections();
    address.moveTo(standby.socketPath, old);
    await primary.stop();
  }

  test("it is not used until it is the primary", async () => {
    await store(vehicles, { vin: VIN }, decodeOf(VIN));
    await moveAddress();

    const found = await vehicles.find({ vin: VIN }, "basic");

    expect(found).toBeUndefined();
    // The first may fail on an old connection.
    await expect(vehicles.ping()).rejects.toThrow(StoreUnavailableError);
    await expect(vehicles.ping()).rejects.toThrow(StoreUnavailableError);
    await expect(vehicles.remove(VIN)).rejects.toThrow(StoreUnavailableError);
    await expect(openExportedRows(parseDatabaseUrl(databaseUrl), () => NOON)).rejects.toThrow("during recovery");
  });

  test("everything works again by the second ping after its promotion", async () => {
    await store(vehicles, { vin: VIN }, decodeOf(VIN));
    await moveAddress();
    await standby.promote();

    await Promise.allSettled([vehicles.ping()]);
    await vehicles.ping();

    expect(await vehicles.find({ vin: VIN }, "full")).toEqual(decodeOf(VIN));
    expect(await vehicles.remove(VIN)).toBe(true);
    expect(await store(vehicles, { vin: VIN }, decodeOf(VIN))).toBe(true);
  });

  test("a decode that began before a Remove is not stored afterwards", async () => {
    const before = await vehicles.removalsOf(VIN);
    await vehicles.remove(VIN);
    await moveAddress();
    await standby.promote();
    await Promise.allSettled([vehicles.ping()]);
    await vehicles.ping();

    const stored = await vehicles.put({ vin: VIN }, decodeOf(VIN), before);

    expect(stored).toBe(false);
    expect(await store(vehicles, { vin: VIN }, decodeOf(VIN))).toBe(true);
  });
});
