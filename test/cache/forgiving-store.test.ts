import { beforeEach, describe, expect, test } from "vitest";

import { ForgivingStore } from "../../src/cache/forgiving-store.ts";
import { currentRequestId, onBehalfOf } from "../../src/telemetry/request-context.ts";
import { StoreUnavailableError } from "../../src/vehicle/errors.ts";
import type { VehicleStore } from "../../src/vehicle/vehicle.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { decodeOf } from "../support/vehicle-samples.ts";

const VIN = parseVin("1XPWD40X1ED215307");
const CUTOFFS = { vpic: 0, negative: 0, snapshot: 0 };

let fault: Error | undefined;
let beforeAnswer: () => void;
let asked: string[];
let elapsed: number;
let logger: MemoryLogger;
let vehicles: ForgivingStore;

beforeEach(() => {
  fault = new StoreUnavailableError("disk full");
  asked = [];
  beforeAnswer = () => {};
  elapsed = 0;
  logger = new MemoryLogger();
  vehicles = new ForgivingStore(faultyStore(), {
    logger,
    elapsedMs: () => elapsed,
    retryReadsAfterMs: 1_000,
    retryWritesAfterMs: 10_000,
    maxConcurrentReads: 5,
    maxConcurrentWrites: 5,
  });
});

async function answer<Result>(operation: string, result: Result): Promise<Result> {
  asked.push(operation);
  beforeAnswer();
  if (fault !== undefined) {
    throw fault;
  }
  return result;
}

function faultyStore(): VehicleStore {
  return {
    find: () => answer("find", decodeOf(VIN)),
    findMany: (queries) =>
      answer(
        "findMany",
        queries.map(({ vin }) => decodeOf(vin)),
      ),
    removalsOf: () => answer("removalsOf", 7),
    put: () => answer("put", true),
    remove: () => answer("remove", true),
    sweep: () => answer("sweep", 3),
  };
}

describe("a store that forgives", () => {
  test("does everything in the name of the request that asked for it, also when it had to wait", async () => {
    fault = undefined;
    const ids = Array.from({ length: 12 }, (_, index) => `request ${index}`);

    const inside: unknown[] = [];
    beforeAnswer = () => inside.push(currentRequestId());
    await Promise.all(ids.map((id) => onBehalfOf(id, () => vehicles.find({ vin: VIN }, "basic"))));

    expect(inside).toEqual(ids);
  });

  test("takes reads that fail for misses", async () => {
    const found = await vehicles.find({ vin: VIN }, "full");
    elapsed = 1_000;
    const many = await vehicles.findMany([{ vin: VIN }, { vin: VIN }], "full");
    elapsed = 2_000;
    const removals = await vehicles.removalsOf(VIN);

    expect([found, many, removals]).toEqual([undefined, [undefined, undefined], undefined]);
    expect(asked).toEqual(["find", "findMany", "removalsOf"]);
  });

  test("drops writes that fail", async () => {
    const stored = await vehicles.put({ vin: VIN }, decodeOf(VIN), 7);
    elapsed = 10_000;
    const swept = await vehicles.sweep(CUTOFFS, 100);

    expect([stored, swept]).toEqual([false, 0]);
    expect(asked).toEqual(["put", "sweep"]);
  });

  test("reports a removal that fails, always asks for it, and is not stopped by other faults", async () => {
    await vehicles.put({ vin: VIN }, decodeOf(VIN), 7);

    const removals = [vehicles.remove(VIN), vehicles.remove(VIN)];

    await expect(removals[0]).rejects.toBe(fault);
    await expect(removals[1]).rejects.toBe(fault);
    expect(asked).toEqual(["put", "remove", "remove"]);
  });

  test("does not store a decode of which it is not known when it began", async () => {
    const removals = await vehicles.removalsOf(VIN);
    fault = undefined;

    const stored = await vehicles.put({ vin: VIN }, decodeOf(VIN), removals);

    expect(stored).toBe(false);
    expect(asked).toEqual(["removalsOf"]);
  });

  test("asks again for reads after one second, and for writes after ten", async () => {
    await vehicles.find({ vin: VIN }, "basic");
    await vehicles.put({ vin: VIN }, decodeOf(VIN), 7);
    fault = undefined;

    const answers: unknown[] = [];
    for (elapsed of [999, 1_000, 9_999, 10_000]) {
      const found = await vehicles.find({ vin: VIN }, "basic");
      answers.push([found !== undefined, await vehicles.put({ vin: VIN }, decodeOf(VIN), 7)]);
    }

    expect(answers).toEqual([
      [false, false],
      [true, false],
      [true, false],
      [true, true],
    ]);
  });

  test("counts what failed and what was left out", async () => {
    for (elapsed of [0, 1, 2, 1_000]) {
      await vehicles.find({ vin: VIN }, "basic");
      await vehicles.put({ vin: VIN }, decodeOf(VIN), 7);
    }

    expect(vehicles.faults()).toEqual({ reads: 4, writes: 4 });
  });

  test("logs at most one line in ten seconds, with the cause and how many failed meanwhile", async () => {
    for (elapsed = 0; elapsed < 20_000; elapsed += 500) {
      await vehicles.find({ vin: VIN }, "basic");
    }

    expect(logger.lines).toEqual([
      { level: "warn", message: "reads of the cache fail", fields: { faults: 1, err: fault } },
      { level: "warn", message: "reads of the cache fail", fields: { faults: 20, err: fault } },
    ]);
  });

  test("lets writes wait for each other, and drops the waiting ones when one fails", async () => {
    const puts = Array.from({ length: 100 }, () => vehicles.put({ vin: VIN }, decodeOf(VIN), 7));

    const stored = await Promise.all(puts);

    expect(stored).toEqual(puts.map(() => false));
    expect(asked).toHaveLength(5);
    expect(vehicles.faults().writes).toBe(100);
  });

  test("does not hide mistakes of the program", async () => {
    fault = new TypeError("not a function");

    const found = vehicles.find({ vin: VIN }, "basic");

    await expect(found).rejects.toBe(fault);
  });
});
