import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type DatabaseStore, ResilientStore } from "../../src/cache/resilient-store.ts";
import { StoreUnavailableError } from "../../src/vehicle/errors.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { decodeOf } from "../support/vehicle-samples.ts";

const VIN = parseVin("1XPWD40X1ED215307");
const CUTOFFS = { vpic: 0, negative: 0, snapshot: 0 };
const LOST = new Error("malformed");
const FULL = new Error("database or disk is full");
const PING_EVERY_MS = 1_000;
const REOPEN_AFTER_MS = 20_000;

/** The operations on the database, in order. */
let events: string[];
let elapsed: number;
/** The error of every operation; undefined when they succeed. */
let fault: Error | undefined;
/** The errors of the next openings; undefined for success. */
let openings: (Error | undefined)[];
let logger: MemoryLogger;
let vehicles: ResilientStore;

beforeEach(async () => {
  vi.useFakeTimers();
  events = [];
  elapsed = 0;
  fault = undefined;
  openings = [];
  logger = new MemoryLogger();
  let opened = 0;
  vehicles = new ResilientStore({
    open: async () => {
      const failure = openings.shift();
      if (failure !== undefined) {
        events.push("fail to open");
        throw failure;
      }
      opened++;
      events.push(`open ${opened}`);
      return databaseOf(opened);
    },
    isLost: (error) => error === LOST,
    pingEveryMs: PING_EVERY_MS,
    reopenAfterMs: REOPEN_AFTER_MS,
    retryWritesAfterMs: 10_000,
    logger,
    elapsedMs: () => elapsed,
  });
});

afterEach(async () => {
  await vehicles[Symbol.asyncDispose]();
  vi.useRealTimers();
});

function answer<Result>(operation: string, result: Result): Result {
  events.push(operation);
  if (fault !== undefined) {
    throw fault;
  }
  return result;
}

function databaseOf(number: number): DatabaseStore {
  return {
    find: () => answer("find", decodeOf(VIN)),
    findMany: async (queries) =>
      answer(
        "findMany",
        queries.map(({ vin }) => decodeOf(vin)),
      ),
    removalsOf: async () => answer("removalsOf", number),
    put: async () => answer("put", true),
    remove: async () => answer("remove", true),
    sweep: async () => answer("sweep", 3),
    contents: async () => answer("contents", { entries: [], bytes: number }),
    coordinate: async () => answer("coordinate", []),
    ping: async () => answer("ping", undefined),
    discard: async () => {
      fault = undefined;
      events.push(`discard ${number}`);
    },
    [Symbol.asyncDispose]: async () => {
      events.push(`close ${number}`);
    },
  };
}

/** Opens it, and forgets the events until then. */
async function open(): Promise<void> {
  await vehicles.open();
  events = [];
}

describe("a store whose database fails", () => {
  beforeEach(open);

  test.each([
    ["find", () => vehicles.find({ vin: VIN }, "full"), undefined],
    ["findMany", () => vehicles.findMany([{ vin: VIN }, { vin: VIN }], "full"), [undefined, undefined]],
    ["removalsOf", () => vehicles.removalsOf(VIN), undefined],
  ] as const)("takes a %s that fails for a miss", async (operation, read, miss) => {
    fault = FULL;

    const found = await read();

    expect(found).toEqual(miss);
    expect(events[0]).toBe(operation);
  });

  test("has no figures when counting fails, and still reads", async () => {
    fault = FULL;
    const contents = await vehicles.contents();
    fault = undefined;

    const found = await vehicles.find({ vin: VIN }, "basic");

    expect(contents).toBeUndefined();
    expect(found).toEqual(decodeOf(VIN));
  });

  test("does not read again after a failed read until a ping is answered", async () => {
    fault = FULL;
    await vehicles.find({ vin: VIN }, "basic");
    await vi.advanceTimersByTimeAsync(PING_EVERY_MS);
    events = [];

    const whileAway = await vehicles.find({ vin: VIN }, "basic");
    fault = undefined;
    await vi.advanceTimersByTimeAsync(PING_EVERY_MS);
    const whenBack = await vehicles.find({ vin: VIN }, "basic");

    expect(whileAway).toBeUndefined();
    expect(whenBack).toEqual(decodeOf(VIN));
    expect(events).toEqual(["ping", "find"]);
  });

  test("pings the database at once after a failed read", async () => {
    fault = FULL;
    const missed = vehicles.find({ vin: VIN }, "basic");
    fault = undefined;
    await missed;

    await vehicles.ping();

    expect(await vehicles.find({ vin: VIN }, "basic")).toEqual(decodeOf(VIN));
    expect(events).toEqual(["find", "ping", "find"]);
  });

  test("drops writes that fail", async () => {
    fault = FULL;

    const stored = await vehicles.put({ vin: VIN }, decodeOf(VIN), 7);
    elapsed = 10_000;
    const swept = await vehicles.sweep(CUTOFFS, 100);

    expect([stored, swept]).toEqual([false, 0]);
    expect(events).toEqual(["put", "sweep"]);
  });

  test("drops further writes for ten seconds, but still reads", async () => {
    fault = FULL;
    await vehicles.put({ vin: VIN }, decodeOf(VIN), 7);
    fault = undefined;

    const stored: boolean[] = [];
    for (elapsed of [1, 9_999, 10_000]) {
      stored.push(await vehicles.put({ vin: VIN }, decodeOf(VIN), 7));
    }

    expect(stored).toEqual([false, false, true]);
    expect(await vehicles.find({ vin: VIN }, "basic")).toEqual(decodeOf(VIN));
  });

  test("reports a failed removal, attempts it whatever else has failed, and logs its cause", async () => {
    fault = FULL;
    await vehicles.put({ vin: VIN }, decodeOf(VIN), 7);

    const failure = await vehicles.remove(VIN).catch((error: unknown) => error);

    expect(failure).toBeInstanceOf(StoreUnavailableError);
    expect(failure).toHaveProperty("cause", FULL);
    expect(events).toEqual(["put", "remove"]);
    expect(logger.lines.at(-1)).toEqual({
      level: "warn",
      message: "removals from the cache fail",
      fields: { faults: 1, err: FULL },
    });
  });

  test.each([undefined, Number.NaN])("does not store a decode whose removals were %s", async (removals) => {
    const stored = await vehicles.put({ vin: VIN }, decodeOf(VIN), removals);

    expect(stored).toBe(false);
    expect(events).toEqual([]);
  });

  test("counts failed and skipped operations", async () => {
    fault = FULL;
    for (elapsed of [0, 1, 2]) {
      await vehicles.find({ vin: VIN }, "basic");
      await vehicles.put({ vin: VIN }, decodeOf(VIN), 7);
    }

    expect(vehicles.faults()).toEqual({ reads: 3, writes: 3, removals: 0 });
  });

  test("logs at most one line in ten seconds, with the cause and the number of failures since", async () => {
    fault = FULL;
    for (elapsed = 0; elapsed <= 20_000; elapsed += 10_000) {
      await vehicles.put({ vin: VIN }, decodeOf(VIN), 7);
      await vehicles.put({ vin: VIN }, decodeOf(VIN), 7);
    }

    expect(logger.lines.filter(({ level }) => level === "warn").map(({ fields }) => fields)).toEqual([
      { faults: 1, err: FULL },
      { faults: 2, err: FULL },
      { faults: 2, err: FULL },
    ]);
  });
});

describe("a store whose database was lost", () => {
  beforeEach(open);

  test("removes from its replacement", async () => {
    fault = LOST;

    const removed = await vehicles.remove(VIN);

    expect(removed).toBe(true);
    expect(events).toEqual(["remove", "discard 1", "open 2", "remove"]);
  });

  test("misses, and is replaced in the background", async () => {
    fault = LOST;

    const found = await vehicles.find({ vin: VIN }, "basic");
    await vehicles.ping();

    expect(found).toBeUndefined();
    expect(events).toEqual(["find", "discard 1", "open 2", "ping"]);
  });

  test("is replaced even when it is not used", async () => {
    fault = LOST;

    await vi.advanceTimersByTimeAsync(PING_EVERY_MS);

    expect(events).toEqual(["ping", "discard 1", "open 2", "ping"]);
  });

  test("is replaced once, even if many operations find it lost", async () => {
    fault = LOST;

    await Promise.all([vehicles.removalsOf(VIN), vehicles.find({ vin: VIN }, "full"), vehicles.remove(VIN)]);

    expect(events.filter((event) => event.startsWith("open"))).toEqual(["open 2"]);
  });

  test("is not replaced again at once", async () => {
    fault = LOST;
    await vehicles.remove(VIN);
    fault = LOST;

    await expect(vehicles.remove(VIN)).rejects.toThrow(StoreUnavailableError);
    elapsed = REOPEN_AFTER_MS;
    await vehicles.remove(VIN);

    expect(events.filter((event) => event.startsWith("open"))).toEqual(["open 2", "open 3"]);
  });
});

describe("a store whose database cannot be opened", () => {
  beforeEach(async () => {
    openings = [FULL];
    await open();
  });

  test("misses reads, drops writes, and reports removals", async () => {
    const found = await vehicles.find({ vin: VIN }, "basic");
    const stored = await vehicles.put({ vin: VIN }, decodeOf(VIN), 7);

    expect([found, stored]).toEqual([undefined, false]);
    await expect(vehicles.remove(VIN)).rejects.toHaveProperty("cause", FULL);
    await expect(vehicles.ping()).rejects.toHaveProperty("cause", FULL);
    expect(events).toEqual([]);
  });

  test("opens it later by itself", async () => {
    await vi.advanceTimersByTimeAsync(PING_EVERY_MS);
    elapsed = REOPEN_AFTER_MS;
    await vi.advanceTimersByTimeAsync(PING_EVERY_MS);

    expect(events).toEqual(["open 1", "ping"]);
    expect(await vehicles.find({ vin: VIN }, "basic")).toEqual(decodeOf(VIN));
  });
});

test("a store that was closed is unavailable and stays so", async () => {
  await open();

  await vehicles[Symbol.asyncDispose]();

  elapsed = REOPEN_AFTER_MS;
  await expect(vehicles.ping()).rejects.toThrow(StoreUnavailableError);
  await expect(vehicles.remove(VIN)).rejects.toThrow(StoreUnavailableError);
  expect(events).toEqual(["close 1"]);
});
