import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parquetMetadata } from "hyparquet";
import { afterAll, beforeAll, expect, test } from "vitest";
import { keepVins } from "../../src/cli/keep-vins.ts";
import { collect, noAbort, openExports } from "../export/open-exports.ts";
import { queryParquet } from "../export/read-parquet.ts";
import { VehicleTable } from "../export/vehicle-table.ts";

const EVERYTHING = "select * from $file";
const TYPES = "select column_name, column_type from (describe from $file)";

function vin(index: number): string {
  return `1XPWD40X${String(index).padStart(9, "0")}`;
}

let table: VehicleTable;
let exportPath: string;
let exported: Buffer;

beforeAll(async () => {
  table = await VehicleTable.create();
  // Large enough for several row groups.
  table.put(
    Array.from({ length: 200 }, (_, index) => ({
      vin: vin(index),
      modelYear: index % 2 === 0 ? "2014" : "",
      decodedAt: 1_700_000_000_000 + index,
      attributes: { Note: `${index} ü `.repeat(18_000) },
    })),
  );
  await using exports = await openExports(table);
  await using file = await exports.create("client", noAbort());
  exported = await collect(file.read());
  exportPath = join(table.directory, "all.parquet");
  await writeFile(exportPath, exported);
});

afterAll(() => table[Symbol.asyncDispose]());

/** Keeps some VINs of the export. */
async function keep(vins: readonly string[]) {
  const path = join(table.directory, "kept.parquet");
  const { rowCount, sizeBytes } = await keepVins(exportPath, path, new Set(vins));
  return { rowCount, sizeBytes, bytes: await readFile(path) };
}

test("the vehicles of some VINs are kept from several row groups, with every column as it was", async () => {
  const vins = [vin(0), vin(1), vin(150), vin(199)];

  const { rowCount, sizeBytes, bytes } = await keep([...vins, vin(1_000)]);

  const names = vins.map((each) => `'${each}'`).join(", ");
  expect(parquetMetadata(new Uint8Array(exported).buffer).row_groups.length).toBeGreaterThan(2);
  expect([rowCount, sizeBytes]).toEqual([4, bytes.length]);
  expect(await queryParquet(bytes, EVERYTHING)).toEqual(
    await queryParquet(exported, `${EVERYTHING} where vin in (${names}) order by vin`),
  );
  expect(await queryParquet(bytes, TYPES)).toEqual(await queryParquet(exported, TYPES));
});

test("the new file has the origin of the export, and its own count", async () => {
  const { bytes } = await keep([vin(7)]);

  const before = parquetMetadata(new Uint8Array(exported).buffer);
  const after = parquetMetadata(new Uint8Array(bytes).buffer);
  expect(after.created_by).toBe(before.created_by);
  expect(after.key_value_metadata).toEqual(
    before.key_value_metadata?.map((pair) => (pair.key === "row_count" ? { key: pair.key, value: "1" } : pair)),
  );
});

test("a file without any of the VINs is empty, and has the columns", async () => {
  const { bytes } = await keep([]);

  expect(await queryParquet(bytes, EVERYTHING)).toEqual([]);
  expect(await queryParquet(bytes, TYPES)).toEqual(await queryParquet(exported, TYPES));
});
