import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DatabaseFleet, type FleetDatabase } from "../../src/cache/fleet.ts";
import { openVehicleStore, type OpenVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { StoreUnavailableError } from "../../src/vehicle/errors.ts";
import type { VehicleSource } from "../../src/vehicle/vehicle.ts";
import { VehicleLookup } from "../../src/vehicle/vehicle-lookup.ts";
import { parseVin, type Vin } from "../../src/vehicle/vin.ts";
import { eventually } from "../support/eventually.ts";
import { createSharedDatabase } from "../support/shared.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { decodeOf, someVins } from "../support/vehicle-samples.ts";

const VIN = parseVin("1XPWD40X1ED215307");
/** So slow that the budget does not refill during a test. */
const RATE = { requestsPerSecond: 0.001, burst: 5 };
const STEP_MS = 1_000_000;

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "vehicle-fleet-"));
});

afterAll(() => rm(directory, { recursive: true }));

/** Runs a statement without the fleet. */
async function run(store: FleetDatabase, text: string): Promise<unknown[][]> {
  return store.coordinate({ sqlite: text, postgres: text }, []);
}

describe.each(["sqlite", "postgres"] as const)("processes that share a cache in %s", (kind) => {
  let databases = 0;
  let databaseUrl: string;
  let opened: AsyncDisposableStack;
  let store: OpenVehicleStore;
  let stores: readonly OpenVehicleStore[];
  let first: DatabaseFleet;
  let second: DatabaseFleet;

  async function openStore(): Promise<OpenVehicleStore> {
    return opened.use(await openVehicleStore({ databaseUrl, logger: silentLogger, readTimeoutMs: 10_000 }));
  }

  beforeEach(async () => {
    const name = `fleet_${databases++}`;
    databaseUrl = kind === "sqlite" ? `sqlite:${join(directory, name)}` : await createSharedDatabase(name);
    opened = new AsyncDisposableStack();
    store = await openStore();
    const otherStore = await openStore();
    stores = [store, otherStore];
    first = opened.use(new DatabaseFleet(store));
    second = opened.use(new DatabaseFleet(otherStore));
  });

  afterEach(() => opened.disposeAsync());

  test("send no more requests together than the budget allows", async () => {
    const left: number[] = [];
    for (let request = 0; request < 3; request++) {
      left.push(...(await Promise.all([first.takeRequest(RATE), second.takeRequest(RATE)])));
    }

    expect(left.filter((number) => number >= 0)).toHaveLength(RATE.burst);
    expect(Math.min(...left)).toBeLessThan(-STEP_MS / 2);
    expect(Math.max(first.size, second.size)).toBe(2);
  });

  test("have no new burst after a restart", async () => {
    for (let request = 0; request < RATE.burst; request++) {
      await first.takeRequest(RATE);
    }
    const restarted = opened.use(new DatabaseFleet(await openStore()));

    expect(await restarted.takeRequest(RATE)).toBeLessThan(0);
  });

  test("are not blocked by a clock that was set back", async () => {
    await run(store, "update fleet_budget set spent_until = 9000000000000000, probe_at = 9000000000000000");

    const left = await first.takeRequest(RATE);
    const mayProbe = await first.mayProbe(5_000);

    expect(left).toBeLessThan(0);
    expect(left).toBeGreaterThanOrEqual(-STEP_MS);
    expect(mayProbe).toBe(true);
  });

  test("have one request left after a pause", async () => {
    await first.drainBudget(RATE);

    expect([await first.takeRequest(RATE), (await second.takeRequest(RATE)) < 0]).toEqual([0, true]);
  });

  test("ask for a VIN one after the other", async () => {
    const { signal } = new AbortController();
    const release = await first.lease(VIN, signal);
    const order: string[] = [];
    const waiting = second.lease(VIN, signal).then(() => order.push("second has it"));
    await second.lease(someVins(1)[0] ?? VIN, signal);

    order.push("first releases it");
    release();
    await waiting;

    expect(order).toEqual(["first releases it", "second has it"]);
  });

  test("share a lease within a process until the last caller has released it", async () => {
    const { signal } = new AbortController();
    const releases = [await first.lease(VIN, signal), await first.lease(VIN, signal)];
    releases[0]?.();
    await first.lease(someVins(1)[0] ?? VIN, signal);

    const held = await run(store, `select vin from fleet_leases where vin = '${VIN}'`);
    releases[1]?.();
    await second.lease(VIN, signal);

    expect(held).toEqual([[VIN]]);
  });

  test("do not wait for a process that died", async () => {
    const { signal } = new AbortController();
    await first.lease(VIN, signal);
    first[Symbol.dispose]();
    await run(store, "update fleet_leases set expires_at = 0");

    await expect(second.lease(VIN, signal)).resolves.toBeTypeOf("function");
  });

  test("renew their leases", async () => {
    await first.lease(VIN, new AbortController().signal);
    const expiry = async (): Promise<number> =>
      Number((await run(store, "select expires_at from fleet_leases"))[0]?.[0]);
    const before = await expiry();

    await eventually(async () => expect(await expiry()).toBeGreaterThan(before));
  });

  test("get a lease afterwards that they could not get while the database was away", async () => {
    let isAway = true;
    using cutOff = new DatabaseFleet({
      coordinate: (statement, values) =>
        isAway ? Promise.reject(new StoreUnavailableError("away")) : store.coordinate(statement, values),
    });
    const { signal } = new AbortController();
    const releases = [await cutOff.lease(VIN, signal), await cutOff.lease(someVins(1)[0] ?? VIN, signal)];
    isAway = false;
    releases[1]?.();

    const leases = (): Promise<unknown[][]> => run(store, "select vin from fleet_leases");
    await eventually(async () => expect(await leases()).toEqual([[VIN]]));
    releases[0]?.();
    await second.lease(VIN, signal);
  });

  test("stop waiting when the caller has left", async () => {
    await first.lease(VIN, new AbortController().signal);
    const caller = new AbortController();
    const waiting = second.lease(VIN, caller.signal);

    caller.abort(new Error("gone"));

    await expect(waiting).rejects.toThrow("gone");
  });

  test("lease a batch in one statement", async () => {
    let statements = 0;
    using counted = new DatabaseFleet({
      coordinate: (statement, values) => {
        statements++;
        return store.coordinate(statement, values);
      },
    });

    await Promise.all(someVins(100).map((vin) => counted.lease(vin, new AbortController().signal)));

    expect(statements).toBe(1);
  });

  test("ask vPIC for each VIN once", async () => {
    const asked: Vin[] = [];
    const vpic: VehicleSource = {
      name: "vpic",
      decode: async ({ vin }) => {
        asked.push(vin);
        await nextTurn();
        return decodeOf(vin, { decodedAt: Date.now() });
      },
    };
    const lookups = [first, second].map(
      (fleet, index) =>
        new VehicleLookup({
          store: stores[index] ?? store,
          fleet,
          sources: [vpic],
          freshness: { freshForMs: 1e9, staleForMs: 1e9, negativeForMs: 1e9, snapshotForMs: 1e9 },
          patienceMs: 10_000,
          onSourceFault: () => undefined,
        }),
    );
    const { signal } = new AbortController();

    const answers = await Promise.all(
      lookups.flatMap((lookup) =>
        someVins(60).map(async (vin) => await lookup.lookup({ query: { vin }, view: "full", signal })),
      ),
    );

    expect(asked.toSorted((a, b) => a.localeCompare(b))).toEqual(someVins(60));
    expect(answers.filter(({ vehicle }) => vehicle.source !== "vpic")).toEqual([]);
  });

  test("probe vPIC in turn until one of them gets an answer", async () => {
    const answers = [await first.mayProbe(60_000), await second.mayProbe(60_000), await first.mayProbe(60_000)];
    await first.endProbing();

    expect([...answers, await second.mayProbe(60_000)]).toEqual([true, false, false, true]);
  });
});

test("without its database, a process decides alone", async () => {
  const broken = { coordinate: () => Promise.reject(new StoreUnavailableError("gone")) };
  using fleet = new DatabaseFleet(broken);

  const release = await fleet.lease(VIN, new AbortController().signal);
  release();

  expect(await fleet.mayProbe(5_000)).toBe(true);
  await expect(fleet.takeRequest(RATE)).rejects.toThrow(StoreUnavailableError);
});
