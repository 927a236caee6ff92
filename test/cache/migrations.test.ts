import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MikroORM as PostgresOrm } from "@mikro-orm/postgresql";
import { MikroORM as SqliteOrm } from "@mikro-orm/sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mikroOptions } from "../../src/cache/mikro-options.ts";
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { ALL_COLUMNS } from "../../src/cache/vehicle-row.ts";
import { StoreUnavailableError } from "../../src/vehicle/errors.ts";
import { parseVin, type Vin } from "../../src/vehicle/vin.ts";
import { createSharedDatabase } from "../support/shared.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { decodeOf, NOON, someVins, store } from "../support/vehicle-samples.ts";
import { createTables, put, remove, selectGeneration } from "../support/version-0.1.0.ts";

const VIN = parseVin("1XPWD40X1ED000000");
const OTHER_VIN = parseVin("1XPWD40X1ED000001");

let directory: string;
let databases = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "vehicle-migrations-"));
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

/** A database without tables, and access to it without the store. */
async function newDatabase(kind: "sqlite" | "postgres") {
  const name = `migrations_${databases++}`;
  const databaseUrl = kind === "sqlite" ? `sqlite:${join(directory, name)}` : await createSharedDatabase(name);
  const orm =
    kind === "sqlite"
      ? await SqliteOrm.init({ ...mikroOptions(silentLogger), dbName: join(directory, name) })
      : await PostgresOrm.init({
          ...mikroOptions(silentLogger),
          dbName: name,
          driverOptions: { connectionString: databaseUrl },
        });
  return {
    databaseUrl,
    orm,
    run: async (...statements: string[]) => {
      for (const statement of statements) {
        await orm.em.execute(statement);
      }
    },
    generationOf: async (vin: Vin) => {
      const rows = await orm.em.execute<{ generation: number | string }[]>(selectGeneration(vin));
      return Number(rows[0]?.generation);
    },
    openStore: () => openVehicleStore({ databaseUrl, logger: silentLogger, now: () => NOON, readTimeoutMs: 10_000 }),
    [Symbol.asyncDispose]: () => orm.close(),
  };
}

/** Runs MikroORM's command line as `npm run migrate` does. */
async function migrate(command: "check" | "up", databaseUrl: string): Promise<"done" | "failed"> {
  const cli = fileURLToPath(new URL("../../node_modules/.bin/mikro-orm", import.meta.url));
  const { promise, resolve } = Promise.withResolvers<"done" | "failed">();
  const env = { ...process.env, DATABASE_URL: databaseUrl };
  execFile(process.execPath, [cli, `migration:${command}`], { env }, (error) => {
    resolve(error === null ? "done" : "failed");
  });
  return promise;
}

describe.each(["sqlite", "postgres"] as const)("in %s", (kind) => {
  test("the migrations create the tables that the entities describe", async () => {
    await using database = await newDatabase(kind);
    await using vehicles = await database.openStore();
    await vehicles.ping();

    const difference = await database.orm.schema.getUpdateSchemaSQL({ wrap: false });

    expect(difference).toBe("");
  });

  test("a table has the columns that rows and statements name", async () => {
    await using database = await newDatabase(kind);
    await using vehicles = await database.openStore();
    await store(vehicles, { vin: VIN }, decodeOf(VIN));

    const rows = await database.orm.em.fork().execute<Record<string, unknown>[]>("select * from vehicles");

    expect(rows.map((row) => Object.keys(row).toSorted())).toEqual([ALL_COLUMNS.toSorted()]);
  });

  test("a database of version 0.1.0 opens with every entry kept", async () => {
    await using database = await newDatabase(kind);
    const vins = someVins(20);
    await database.run(...createTables(kind));
    const generation = await database.generationOf(VIN);
    await database.run(...vins.map((vin) => put(vin, NOON, generation)));

    await using vehicles = await database.openStore();
    const found = await vehicles.findMany(
      vins.map((vin) => ({ vin })),
      "full",
    );

    expect(found).toEqual(vins.map((vin) => decodeOf(vin)));
  });

  test.each([
    ["our own guess of version 0.1.0", "1", VIN, ""],
    ["our own guess beside other codes", "1,12,400", VIN, ""],
    ["NHTSA's suggestion", "1,2", VIN, VIN],
    ["NHTSA's suggestion with a mark", "1,11", "1XPWD40X!ED000000", "1XPWD40X!ED000000"],
    ["NHTSA's suggestion without a wrong check digit", "11,14", VIN, VIN],
  ])("%s (codes %s) is read as what it is, also when it is stored after the upgrade", async (...row) => {
    const [, codes, suggested, expected] = row;
    await using database = await newDatabase(kind);
    await database.run(...createTables(kind));
    await using vehicles = await database.openStore();
    await database.run(put(VIN, NOON, await database.generationOf(VIN)));
    await database.run(`update vehicles set verdict_codes = '${codes}', suggested_vin = '${suggested}'`);

    const found = await vehicles.find({ vin: VIN }, "basic");

    expect(found?.verdict.suggestedVin).toBe(expected);
  });

  test("a decode of vPIC that replaced one of the snapshot in version 0.1.0 has neither the date nor the guess of the old one", async () => {
    await using database = await newDatabase(kind);
    await using vehicles = await database.openStore();
    const decode = decodeOf(VIN, { model: "", source: "snapshot", dataDate: "2026-02-17", likelyVin: OTHER_VIN });
    await store(vehicles, { vin: VIN }, decode);

    await database.run("update vehicles set source = 'vpic', model = '388'");

    expect(await vehicles.find({ vin: VIN }, "full")).toEqual(decodeOf(VIN));
  });

  test("attributes of 0.9 MB, which version 0.1.0 stored, are a miss and not read into memory", async () => {
    await using database = await newDatabase(kind);
    await using vehicles = await database.openStore();
    await store(vehicles, { vin: VIN }, decodeOf(VIN));
    await database.run(`update vehicles set attributes = '${JSON.stringify({ Note: "x".repeat(900_000) })}'`);

    const found = await vehicles.find({ vin: VIN }, "full");
    const foundMany = await vehicles.findMany([{ vin: VIN }], "full");

    expect([found, ...foundMany]).toEqual([undefined, undefined]);
    expect(await vehicles.find({ vin: VIN }, "basic")).toMatchObject({ make: "PETERBILT" });
  });

  test("a removal by either version drops a decode in flight in the other", async () => {
    await using database = await newDatabase(kind);
    await database.run(...createTables(kind));
    await using vehicles = await database.openStore();
    const beforeInNew = await vehicles.removalsOf(VIN);
    const beforeInOld = await database.generationOf(OTHER_VIN);

    await database.run(...remove(VIN, NOON));
    await vehicles.remove(OTHER_VIN);
    const stored = await vehicles.put({ vin: VIN }, decodeOf(VIN), beforeInNew);
    await database.run(put(OTHER_VIN, NOON, beforeInOld));

    expect(stored).toBe(false);
    expect(await vehicles.findMany([{ vin: VIN }, { vin: OTHER_VIN }], "basic")).toEqual([undefined, undefined]);
  });

  test("the command line migrates an empty database, and then finds only what differs from the entities", async () => {
    await using database = await newDatabase(kind);

    const before = await migrate("check", database.databaseUrl);
    const up = await migrate("up", database.databaseUrl);
    const after = await migrate("check", database.databaseUrl);
    await database.run("drop index vehicles_age");
    const damaged = await migrate("check", database.databaseUrl);

    expect([before, up, after, damaged]).toEqual(["failed", "done", "done", "failed"]);
  });

  test("each version finds the entries of the other", async () => {
    await using database = await newDatabase(kind);
    await database.run(...createTables(kind));
    await using vehicles = await database.openStore();

    await database.run(put(VIN, NOON, await database.generationOf(VIN)));
    await store(vehicles, { vin: OTHER_VIN }, decodeOf(OTHER_VIN));

    expect(await vehicles.find({ vin: VIN }, "full")).toEqual(decodeOf(VIN));
    expect(await database.orm.em.fork().execute("select vin, make from vehicles where vin = ?", [OTHER_VIN])).toEqual([
      { vin: OTHER_VIN, make: "PETERBILT" },
    ]);
  });
});

test("in postgres, columns are added when an export of version 0.1.0 has ended, and readers do not wait for that", async () => {
  await using database = await newDatabase("postgres");
  await database.run(...createTables("postgres"), put(VIN, NOON, 37_987_875_288_699));
  let elapsed = 0;
  const exporting = database.orm.em.fork();
  await exporting.begin();
  await exporting.execute("select vin from vehicles");

  const opening = openVehicleStore({
    databaseUrl: database.databaseUrl,
    logger: silentLogger,
    elapsedMs: () => elapsed,
    readTimeoutMs: 10_000,
  });
  const opened = new AbortController();
  void opening.finally(() => opened.abort());
  const read: number[] = [];
  while (!opened.signal.aborted) {
    await database.orm.em.fork().transactional(async (reader) => {
      await reader.execute("set local lock_timeout = 3000");
      read.push((await reader.execute<unknown[]>("select vin from vehicles")).length);
    });
  }
  await using vehicles = await opening;
  await expect(vehicles.ping()).rejects.toThrow(StoreUnavailableError);
  await exporting.commit();
  elapsed += 1_000;
  await vehicles.ping();

  expect(new Set(read)).toEqual(new Set([1]));
  expect(await vehicles.find({ vin: VIN }, "full")).toEqual(decodeOf(VIN));
});
