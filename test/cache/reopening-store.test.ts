import { beforeEach, describe, expect, test } from "vitest";

import type { OpenedStore } from "../../src/cache/opened-store.ts";
import { ReopeningStore } from "../../src/cache/reopening-store.ts";
import { StoreUnavailableError } from "../../src/vehicle/errors.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { silentLogger } from "../support/silent-logger.ts";

const VIN = parseVin("1XPWD40X1ED215307");
const LOST = new Error("malformed");
const FULL = new Error("database or disk is full");

let events: string[];
let elapsed: number;
/** What opening and asking the next databases comes to; a database without a fault answers. */
let openings: (Error | undefined)[];
let faults: (Error | undefined)[];

beforeEach(() => {
  events = [];
  elapsed = 0;
  openings = [];
  faults = [];
});

function reopeningStore(): ReopeningStore {
  let opened = 0;
  return new ReopeningStore({
    open: async () => {
      const fault = openings.shift();
      events.push(fault === undefined ? `open ${++opened}` : "fail to open");
      if (fault !== undefined) {
        throw fault;
      }
      return databaseOf(opened);
    },
    isLost: (error) => error === LOST,
    retryAfterMs: 10_000,
    logger: silentLogger,
    elapsedMs: () => elapsed,
  });
}

async function answer<Result>(result: Result): Promise<Result> {
  const fault = faults.shift();
  if (fault !== undefined) {
    throw fault;
  }
  return result;
}

function databaseOf(number: number): OpenedStore {
  return {
    find: () => answer(undefined),
    findMany: () => answer([]),
    removalsOf: () => answer(number),
    put: () => answer(true),
    remove: () => answer(true),
    sweep: () => answer(0),
    ping: () => answer(undefined),
    discard: async () => {
      events.push(`discard ${number}`);
    },
    [Symbol.asyncDispose]: async () => {
      events.push(`close ${number}`);
    },
  };
}

describe("a store that is opened again", () => {
  test("passes faults on as unavailability, with their cause", async () => {
    await using vehicles = reopeningStore();
    await vehicles.open();
    faults = [FULL];

    const fault = await vehicles.removalsOf(VIN).catch((error: unknown) => error);

    expect(fault).toBeInstanceOf(StoreUnavailableError);
    expect(fault).toHaveProperty("cause", FULL);
    expect(events).toEqual(["open 1"]);
  });

  test("replaces a lost database and does there what was asked", async () => {
    await using vehicles = reopeningStore();
    await vehicles.open();
    faults = [LOST];

    const answeredBy = await vehicles.removalsOf(VIN);

    expect(answeredBy).toBe(2);
    expect(events).toEqual(["open 1", "discard 1", "open 2"]);
  });

  test("replaces a lost database once, however many operations find it lost", async () => {
    await using vehicles = reopeningStore();
    await vehicles.open();
    faults = [LOST, LOST, LOST];

    await Promise.allSettled([vehicles.removalsOf(VIN), vehicles.removalsOf(VIN), vehicles.removalsOf(VIN)]);

    expect(events).toEqual(["open 1", "discard 1", "open 2"]);
  });

  test("does not replace one database after the other", async () => {
    await using vehicles = reopeningStore();
    await vehicles.open();
    faults = [LOST, LOST, LOST];

    await expect(vehicles.removalsOf(VIN)).rejects.toThrow(StoreUnavailableError);
    await expect(vehicles.removalsOf(VIN)).rejects.toThrow(StoreUnavailableError);
    elapsed = 10_000;
    faults = [LOST];
    const answeredBy = await vehicles.removalsOf(VIN);

    expect(answeredBy).toBe(3);
    expect(events).toEqual(["open 1", "discard 1", "open 2", "discard 2", "open 3"]);
  });

  test("is unavailable when it cannot be opened, and tries again after a while, in the background", async () => {
    await using vehicles = reopeningStore();
    openings = [FULL];
    await vehicles.open();

    await expect(vehicles.ping()).rejects.toHaveProperty("cause", FULL);
    elapsed = 10_000;
    await expect(vehicles.ping()).rejects.toThrow(StoreUnavailableError);
    await expect.poll(() => vehicles.removalsOf(VIN).catch(() => "unavailable")).toBe(1);

    expect(events).toEqual(["fail to open", "open 1"]);
  });

  test("closes its database, and is unavailable from then on", async () => {
    const vehicles = reopeningStore();
    await vehicles.open();

    await vehicles[Symbol.asyncDispose]();

    elapsed = 10_000;
    await expect(vehicles.ping()).rejects.toThrow(StoreUnavailableError);
    expect(events).toEqual(["open 1", "close 1"]);
  });
});
