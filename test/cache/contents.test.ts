import { join } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { createSharedDatabase } from "../support/shared.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { decodeOf, NOON, someVins, store } from "../support/vehicle-samples.ts";

const NEGATIVE = { make: "", model: "", modelYear: "", bodyClass: "" };

describe.each([
  ["SQLite", (directory: string) => Promise.resolve(`sqlite:${join(directory, "vehicles.db")}`)],
  ["PostgreSQL", () => createSharedDatabase("contents")],
] as const)("the contents of %s", (_, createUrl) => {
  test("are counted by source and by whether they were decoded, with the oldest and the size", async () => {
    await using directory = await temporaryDirectory();
    const databaseUrl = await createUrl(directory.path);
    await using vehicles = await openVehicleStore({ databaseUrl, logger: silentLogger, readTimeoutMs: 10_000 });
    const empty = await vehicles.contents();
    const changes = [
      { decodedAt: NOON },
      { decodedAt: NOON - 5 },
      { ...NEGATIVE, decodedAt: NOON - 1 },
      { source: "snapshot" as const, decodedAt: NOON - 9 },
    ];

    for (const [index, vin] of someVins(changes.length).entries()) {
      await store(vehicles, { vin }, decodeOf(vin, changes[index]));
    }
    const full = await vehicles.contents();

    expect(empty).toEqual({ entries: [], bytes: expect.any(Number) });
    expect(full?.entries).toEqual([
      { source: "vpic", isNegative: false, count: 2, oldestAt: NOON - 5 },
      { source: "vpic", isNegative: true, count: 1, oldestAt: NOON - 1 },
      { source: "snapshot", isNegative: false, count: 1, oldestAt: NOON - 9 },
    ]);
    expect(full?.bytes).toBeGreaterThan(1_000);
  });
});

test("a large SQLite file is counted in several turns of the event loop, with all entries of one moment", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "vehicles.db");
  await using vehicles = await openVehicleStore({ databaseUrl: `sqlite:${path}`, logger: silentLogger });
  const file = new Database(path);
  file.exec(`with recursive series (n) as (select 1 union all select n + 1 from series where n < 25001)
    insert into vehicles select n, 0, '', '', '', '', 'vpic', n % 2, ${NOON} - n / 20000, '', '', '', '', '', '{}', '', ''
    from series`);
  file.close();
  let turns = 0;
  const onTurn = (): void => {
    turns++;
    immediate = setImmediate(onTurn);
  };
  let immediate = setImmediate(onTurn);

  const contents = await vehicles.contents();
  clearImmediate(immediate);

  expect(contents?.entries).toEqual([
    { source: "vpic", isNegative: false, count: 12_500, oldestAt: NOON - 1 },
    { source: "vpic", isNegative: true, count: 12_501, oldestAt: NOON - 1 },
  ]);
  expect(turns).toBeGreaterThanOrEqual(4);
});
