import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { type DatabaseLocation, parseDatabaseUrl } from "../../src/cache/database-url.ts";
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { openExportedRows, type ExportedRow } from "../../src/cache/exported-rows.ts";
import { createSharedDatabase } from "../support/shared.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { decodeOf, NOON, someVins, store } from "../support/vehicle-samples.ts";

interface Place {
  readonly url: string;
  readonly location: DatabaseLocation;
}

let directory: string;
let places = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "vehicle-rows-"));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function newPlace(kind: "sqlite" | "postgres"): Promise<Place> {
  const name = `rows_${places++}`;
  const url = kind === "sqlite" ? `sqlite:${join(directory, name)}` : await createSharedDatabase(name);
  return { url, location: parseDatabaseUrl(url) };
}

function openStore({ url }: Place) {
  return openVehicleStore({ databaseUrl: url, logger: silentLogger, now: () => NOON, readTimeoutMs: 10_000 });
}

async function readAll(batches: AsyncIterable<readonly ExportedRow[]>): Promise<ExportedRow[]> {
  return (await Array.fromAsync(batches)).flat();
}

describe.each(["sqlite", "postgres"] as const)("in %s", (kind) => {
  test("stored entries are returned as rows in VIN order, each VIN once", async () => {
    const place = await newPlace(kind);
    await using vehicles = await openStore(place);
    const vins = someVins(3_000);
    for (let end = vins.length; end > 0; end -= 500) {
      await Promise.all(vins.slice(end - 500, end).map((vin) => store(vehicles, { vin }, decodeOf(vin))));
    }
    for (const vin of vins.slice(1_020, 1_030)) {
      await store(vehicles, { vin, modelYear: 1990 }, decodeOf(vin, { model: "of a hint" }));
    }

    await using rows = await openExportedRows(place.location, () => NOON);
    const read = await readAll(rows.batches());

    expect(read).toEqual(
      vins.map((vin) => [
        vin,
        "PETERBILT",
        "388",
        "2014",
        "Truck-Tractor",
        "vpic",
        NOON,
        "0",
        decodeOf(vin).verdict.text,
        "",
        JSON.stringify(decodeOf(vin).attributes),
      ]),
    );
    expect(rows.snapshotTime).toBe(NOON);
    expect(rows.estimatedBytes).toBeGreaterThan(100_000);
  });

  test("of several entries the one with the smallest hint is used, and never a negative one", async () => {
    const place = await newPlace(kind);
    await using vehicles = await openStore(place);
    const [first, second] = someVins(2);
    const undecoded = { make: "", model: "", modelYear: "" };
    if (first !== undefined && second !== undefined) {
      await store(vehicles, { vin: first }, decodeOf(first, undecoded));
      await store(vehicles, { vin: first, modelYear: 2015 }, decodeOf(first, { model: "of 2015" }));
      await store(vehicles, { vin: first, modelYear: 1985 }, decodeOf(first, { model: "of 1985" }));
      await store(vehicles, { vin: second }, decodeOf(second, undecoded));
    }

    await using rows = await openExportedRows(place.location, () => NOON);
    const read = await readAll(rows.batches());

    expect(read.map(([vin, , model]) => [vin, model])).toEqual([[first, "of 1985"]]);
  });

  test("batches have one or two rows of 0.9 MB, or hundreds of small ones", async () => {
    const place = await newPlace(kind);
    await using vehicles = await openStore(place);
    const vins = someVins(220);
    for (const [index, vin] of vins.entries()) {
      const attributes = index < 200 ? {} : { Note: "x".repeat(900_000) };
      await store(vehicles, { vin }, decodeOf(vin, { attributes }));
    }

    await using rows = await openExportedRows(place.location, () => NOON);
    const batches: number[] = [];
    for await (const batch of rows.batches()) {
      batches.push(batch.length);
    }

    expect(batches[0]).toBeGreaterThanOrEqual(200);
    expect(batches[0]).toBeLessThanOrEqual(202);
    expect(Math.max(...batches.slice(1))).toBeLessThanOrEqual(2);
    expect(batches.reduce((sum, length) => sum + length, 0)).toBe(220);
  });

  test("an empty cache has no rows", async () => {
    const place = await newPlace(kind);
    await using _vehicles = await openStore(place);

    await using rows = await openExportedRows(place.location, () => NOON);

    expect(await readAll(rows.batches())).toEqual([]);
  });

  test("later writes and removals are not seen", async () => {
    const place = await newPlace(kind);
    await using vehicles = await openStore(place);
    const vins = someVins(3);
    const [first, second, third] = vins;
    if (first !== undefined && second !== undefined) {
      await store(vehicles, { vin: first }, decodeOf(first));
      await store(vehicles, { vin: second }, decodeOf(second));
    }
    await using rows = await openExportedRows(place.location, () => NOON);

    if (first !== undefined && second !== undefined && third !== undefined) {
      await vehicles.remove(first);
      await store(vehicles, { vin: second }, decodeOf(second, { make: "CHANGED" }));
      await store(vehicles, { vin: third }, decodeOf(third));
    }
    const read = await readAll(rows.batches());

    expect(read.map(([vin, make]) => [vin, make])).toEqual([
      [first, "PETERBILT"],
      [second, "PETERBILT"],
    ]);
  });
});
