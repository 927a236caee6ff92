import { copyFile, link, mkdtemp, readdir, readFile, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { openVehicleStore, type OpenVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { StoreUnavailableError } from "../../src/vehicle/errors.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { decodeOf, NOON, someVins, store } from "../support/vehicle-samples.ts";

const VINS = someVins(300);
const VIN = parseVin("1XPWD40X1ED000000");
const OTHER_VIN = parseVin("1XPWD40X1ED000001");
const RETRY_MS = 10_000;

let directory: string;
let path: string;
let logger: MemoryLogger;
let elapsed: number;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "vehicle-faults-"));
  path = join(directory, "vehicles.db");
  logger = new MemoryLogger();
  elapsed = 0;
});

afterEach(() => rm(directory, { recursive: true }));

function open(readTimeoutMs?: number): Promise<OpenVehicleStore> {
  return openVehicleStore({
    databaseUrl: `sqlite:${path}`,
    readTimeoutMs,
    logger,
    now: () => NOON,
    elapsedMs: () => elapsed,
  });
}

async function fill(vehicles: OpenVehicleStore): Promise<void> {
  for (const vin of VINS) {
    await store(vehicles, { vin }, decodeOf(vin));
  }
}

async function quarantined(): Promise<string[]> {
  const names = await readdir(directory);
  return names.filter((name) => name.includes(".corrupt-"));
}

async function overwrite(change: (content: Buffer) => void): Promise<void> {
  const content = await readFile(path);
  change(content);
  await writeFile(path, content);
}

function withOther(work: (other: Database.Database) => void): void {
  const other = new Database(path);
  work(other);
  other.close();
}

async function deleteAll(): Promise<void> {
  await Promise.all([path, `${path}-wal`, `${path}-shm`].map((file) => rm(file)));
}

/** Reads and writes as a Lookup does, for every VIN. It may miss, but must not throw. */
async function useAll(vehicles: OpenVehicleStore): Promise<void> {
  for (const vin of VINS) {
    await vehicles.find({ vin }, "full");
  }
  await vehicles.findMany(
    VINS.map((vin) => ({ vin })),
    "full",
  );
  await store(vehicles, { vin: VIN }, decodeOf(VIN));
}

const CORRUPTIONS: readonly (readonly [name: string, corrupt: () => Promise<void>])[] = [
  ["whose header is garbage", () => overwrite((content) => content.fill(0xa5, 0, 100))],
  ["that is all garbage", () => overwrite((content) => content.fill(0xa5))],
  ["that is another kind of file", () => writeFile(path, "make,model\nPETERBILT,388\n".repeat(1_000))],
  ["that was cut in half", async () => truncate(path, Math.floor((await readFile(path)).length / 2 / 4096) * 4096)],
  ["whose pages were zeroed", () => overwrite((content) => content.fill(0, 4096))],
  ["whose pages are garbage", () => overwrite((content) => content.fill(0xa5, 4096))],
  ["without its table", async () => withOther((other) => other.exec("drop table vehicles"))],
];

describe("a SQLite file found at the start", () => {
  test.each(CORRUPTIONS)("%s is renamed, and a new one takes its place", async (_, corrupt) => {
    await using before = await open();
    await fill(before);
    await before[Symbol.asyncDispose]();
    await corrupt();

    await using vehicles = await open();
    await useAll(vehicles);
    elapsed += RETRY_MS;
    await store(vehicles, { vin: VIN }, decodeOf(VIN));

    expect(await vehicles.find({ vin: VIN }, "full")).toEqual(decodeOf(VIN));
    expect(await vehicles.find({ vin: OTHER_VIN }, "full")).toBeUndefined();
    expect(await quarantined()).not.toEqual([]);
    await expect(vehicles.ping()).resolves.toBeUndefined();
  });

  test("that is empty is used as a new one", async () => {
    await writeFile(path, "");

    await using vehicles = await open();
    await store(vehicles, { vin: VIN }, decodeOf(VIN));

    expect(await vehicles.find({ vin: VIN }, "full")).toEqual(decodeOf(VIN));
  });

  test("that was emptied but has a log is renamed together with the log", async () => {
    await using before = await open();
    await fill(before);
    await link(`${path}-wal`, `${path}-kept`);
    await before[Symbol.asyncDispose]();
    await rename(`${path}-kept`, `${path}-wal`);
    await truncate(path);

    await using vehicles = await open();
    await store(vehicles, { vin: VIN }, decodeOf(VIN));

    expect(await vehicles.find({ vin: VIN }, "full")).toEqual(decodeOf(VIN));
    expect(await quarantined()).toHaveLength(2);
  });

  test("is waited for while another process creates it", async () => {
    const other = new Database(path);
    other.exec("begin exclusive");
    const opening = open();
    // When timers run again, the opening has found the file locked.
    setTimeout(() => other.close(), 1);

    await using vehicles = await opening;

    await expect(vehicles.ping()).resolves.toBeUndefined();
    expect(await quarantined()).toEqual([]);
  });

  test("that cannot be opened leaves the service without a cache, until it can", async () => {
    await writeFile(join(directory, "file"), "");
    path = join(directory, "file", "vehicles.db");
    await using vehicles = await open();

    const stored = await store(vehicles, { vin: VIN }, decodeOf(VIN));
    const found = await vehicles.find({ vin: VIN }, "basic");

    expect(stored).toBe(false);
    expect(found).toBeUndefined();
    await expect(vehicles.remove(VIN)).rejects.toThrow(StoreUnavailableError);
    await expect(vehicles.ping()).rejects.toThrow(StoreUnavailableError);

    await rm(join(directory, "file"));
    elapsed += RETRY_MS;
    await vehicles.ping();
    expect(await store(vehicles, { vin: VIN }, decodeOf(VIN))).toBe(true);
  });
});

describe("a SQLite file in use", () => {
  let vehicles: OpenVehicleStore;

  beforeEach(async () => {
    vehicles = await open();
    await fill(vehicles);
  });

  afterEach(() => vehicles[Symbol.asyncDispose]());

  const LOSSES: readonly (readonly [name: string, lose: () => Promise<void>])[] = [
    ["was deleted", () => rm(path)],
    ["was deleted with its log", deleteAll],
    [
      "was replaced by another kind of file",
      () => deleteAll().then(() => writeFile(path, "make,model\n".repeat(1_000))),
    ],
    ["was emptied", () => truncate(path)],
    ["lost its log", () => rm(`${path}-wal`)],
    ["lost the index of its log", () => rm(`${path}-shm`)],
    ["got another log", () => rm(`${path}-wal`).then(() => writeFile(`${path}-wal`, ""))],
    ["lost its table", async () => withOther((other) => other.exec("drop table vehicles"))],
    ["lost its records of removals", async () => withOther((other) => other.exec("drop table vehicle_removals"))],
  ];

  test.each(LOSSES)("that %s is replaced by a new one with the next write", async (_, lose) => {
    await lose();

    const storedInLost = await store(vehicles, { vin: VIN }, decodeOf(VIN));
    await vehicles.ping();
    elapsed += RETRY_MS;
    const stored = await store(vehicles, { vin: VIN }, decodeOf(VIN));

    expect(storedInLost).toBe(false);
    expect(stored).toBe(true);
    expect(await vehicles.find({ vin: VIN }, "full")).toEqual(decodeOf(VIN));
    expect(await vehicles.find({ vin: OTHER_VIN }, "full")).toBeUndefined();
    withOther((other) => {
      expect(other.prepare("select count(*) as n from vehicles").get()).toEqual({ n: 1 });
    });
  });

  test("that was deleted is replaced after a ping alone", async () => {
    await rm(path);

    await vehicles.ping();

    expect(await vehicles.find({ vin: VIN }, "basic")).toBeUndefined();
    withOther((other) => {
      expect(other.prepare("select count(*) as n from vehicles").get()).toEqual({ n: 0 });
    });
  });

  test.each(LOSSES)(
    "that %s does not prevent a removal, which is acknowledged and recorded in the new file",
    async (_, lose) => {
      await lose();

      await vehicles.remove(VIN);

      withOther((other) => {
        expect(other.prepare("select vin from vehicle_removals where vin <> ''").all()).toEqual([{ vin: VIN }]);
        expect(other.prepare("select vin from vehicles where vin = ?").all(VIN)).toEqual([]);
      });
    },
  );

  test.each([
    ["emptied", 0],
    ["cut in half", 0.5],
  ])("whose log was %s does not lose an acknowledged removal in a crash", async (_, share) => {
    await vehicles.remove(OTHER_VIN);
    await truncate(`${path}-wal`, Math.floor((await stat(`${path}-wal`)).size * share));

    await store(vehicles, { vin: OTHER_VIN }, decodeOf(OTHER_VIN));
    await vehicles.remove(VIN);

    const copy = join(directory, "after-a-crash.db");
    await copyFile(path, copy);
    await copyFile(`${path}-wal`, `${copy}-wal`);
    const file = new Database(copy);
    expect(file.prepare("select vin from vehicles where vin = ?").all(VIN)).toEqual([]);
    expect(file.prepare("select vin from vehicle_removals where vin = ?").all(VIN)).toEqual([{ vin: VIN }]);
    file.close();
  });

  test("whose log another process emptied into the database stays in use", async () => {
    await vehicles.remove(OTHER_VIN);
    withOther((other) => other.pragma("wal_checkpoint(TRUNCATE)"));

    await vehicles.remove(VIN);

    expect(await vehicles.find({ vin: VINS[2] ?? VIN }, "full")).toBeDefined();
    expect(await quarantined()).toEqual([]);
  });

  test("whose pages are damaged is renamed when they are read", async () => {
    withOther((other) => other.pragma("wal_checkpoint(TRUNCATE)"));
    await overwrite((content) => content.fill(0xa5, 4096));
    withOther((other) => other.pragma("user_version = 1"));

    await useAll(vehicles);
    await vehicles.ping();
    elapsed += RETRY_MS;
    const stored = await store(vehicles, { vin: VIN }, decodeOf(VIN));

    expect(stored).toBe(true);
    expect(await quarantined()).not.toEqual([]);
  });

  test.each([
    ["before", [() => vehicles.remove(VIN), () => rm(path)]],
    ["after", [() => rm(path), () => vehicles.remove(VIN)]],
  ] as const)("does not bring back what was removed %s it was lost, when a decode was in flight", async (_, steps) => {
    const before = await vehicles.removalsOf(VIN);
    for (const step of steps) {
      await step();
    }

    const stored = await vehicles.put({ vin: VIN }, decodeOf(VIN), before);

    expect(stored).toBe(false);
    expect(await vehicles.find({ vin: VIN }, "basic")).toBeUndefined();
  });

  test("that another process has locked is read, not written, and retried after ten seconds", async () => {
    const other = new Database(path);
    other.exec("begin immediate");

    const found = await vehicles.find({ vin: VIN }, "basic");
    const whileLocked = await store(vehicles, { vin: VIN }, decodeOf(VIN, { model: "new" }));
    const removal = vehicles.remove(VIN);
    await expect(removal).rejects.toThrow(StoreUnavailableError);
    other.exec("commit");
    other.close();
    const tooSoon = await store(vehicles, { vin: VIN }, decodeOf(VIN, { model: "new" }));
    elapsed += RETRY_MS;
    const later = await store(vehicles, { vin: VIN }, decodeOf(VIN, { model: "new" }));

    expect(found?.model).toBe("388");
    expect([whileLocked, tooSoon, later]).toEqual([false, false, true]);
    expect(vehicles.faults()).toEqual({ reads: 0, writes: 2, removals: 1 });
    expect(logger.lines.filter(({ level }) => level === "warn").map(({ message }) => message)).toEqual([
      "writes to the cache fail",
      "removals from the cache fail",
    ]);
  });

  test("that another process has locked makes removals wait without blocking the event loop", async () => {
    const other = new Database(path);
    other.exec("begin immediate");
    const removals = VINS.slice(0, 60).map((vin) => vehicles.remove(vin));
    // This thread itself holds the lock, so a wait that blocked the thread would never end.
    setTimeout(() => other.close(), 20);

    const removed = await Promise.all(removals);

    expect(removed).toEqual(removals.map(() => true));
  });

  test("that another process has locked makes puts wait too", async () => {
    // A busy machine may take longer than the default of 0.25 s to release the lock.
    await using patient = await open(10_000);
    const before = await patient.removalsOf(VIN);
    const other = new Database(path);
    other.exec("begin immediate");
    const put = patient.put({ vin: VIN }, decodeOf(VIN, { model: "new" }), before);
    setTimeout(() => other.close(), 20);

    expect(await put).toBe(true);
  });

  test("with a damaged row misses that row, and returns the others of a batch", async () => {
    withOther((other) => {
      other.exec(`update vehicles set verdict_codes = 'x' where vin = '${VIN}'`);
    });

    const found = await vehicles.findMany([{ vin: VIN }, { vin: OTHER_VIN }], "full");

    expect(found).toEqual([undefined, decodeOf(OTHER_VIN)]);
  });
});
