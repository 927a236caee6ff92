import { parquetMetadata } from "hyparquet";
import pl from "nodejs-polars";
import { beforeAll, describe, expect, test } from "vitest";

import { collect, noAbort, openExports } from "./open-exports.ts";
import { queryParquet, readWithHyparquet } from "./read-parquet.ts";
import { VehicleTable } from "./vehicle-table.ts";
import type { TestRow } from "./vehicle-table.ts";

const HOSTILE = {
  quotes: `"'\`\\ "; drop table vehicles; --`,
  blanks: " \t\r\n\u00a0\u2028",
  nul: "a\0b\0",
  emoji: "🚗👩‍👩‍👧‍👦 \u{10FFFF}",
  long: "ü".repeat(10_240),
  empty: "",
};

async function exportBytes(table: VehicleTable): Promise<Buffer> {
  await using exports = await openExports(table);
  await using file = await exports.create("client", noAbort());
  const bytes = await collect(file.read());
  expect(bytes.length).toBe(file.sizeBytes);
  return bytes;
}

function vin(index: number): string {
  return `1XPWD40X${String(index).padStart(9, "0")}`;
}

function expectedRow(row: TestRow) {
  return {
    vin: row.vin,
    make: row.make ?? "PETERBILT",
    model: row.model ?? "388",
    model_year: row.modelYear ?? "2014",
    body_class: row.bodyClass ?? "Truck-Tractor",
    source: row.source ?? "vpic",
    verdict: row.verdictCodes ?? "0",
    attributes: JSON.stringify(row.attributes ?? {}),
    year: yearOf(row.modelYear ?? "2014"),
    verdict_text: row.verdictText ?? "",
    suggested_vin: row.suggestedVin ?? "",
  };
}

function yearOf(modelYear: string): number | null {
  return modelYear.trim() === "" || Number.isNaN(Number(modelYear)) ? null : Number(modelYear);
}

test.each([0, 1, 5, 10_000])("DuckDB, hyparquet and Polars read %i stored rows in VIN order", async (count) => {
  await using table = await VehicleTable.create();
  const rows = Array.from({ length: count }, (_, index) => ({
    vin: vin(index),
    make: `MAKE ${index % 7}`,
    decodedAt: 1_700_000_000_000 + index,
    modelYear: index % 5 === 0 ? "" : String(1981 + (index % 40)),
    verdictText: `${index % 3} - a text`,
    suggestedVin: index % 4 === 0 ? `1XPWD40X!${String(index).padStart(8, "0")}` : "",
    attributes: { EngineCylinders: String(index % 12), Note: `row ${index}` },
  }));
  table.put(rows.toReversed());

  const bytes = await exportBytes(table);

  const expected = rows.map((row) => Object.assign(expectedRow(row), { decode_time: new Date(row.decodedAt) }));
  expect(await readWithHyparquet(bytes)).toEqual(expected);
  expect(pl.readParquet(bytes).toRecords()).toEqual(expected);
  const duck = await queryParquet(bytes, "select * exclude (decode_time), epoch_ms(decode_time) as ms from $file");
  expect(duck).toEqual(rows.map((row) => Object.assign(expectedRow(row), { ms: String(row.decodedAt) })));
});

test.each(Object.entries(HOSTILE))("text with %s comes back as it was", async (_, text) => {
  await using table = await VehicleTable.create();
  const row = {
    vin: vin(1),
    make: text,
    model: text,
    modelYear: text,
    bodyClass: text,
    verdictText: text,
    suggestedVin: text,
    attributes: { Note: text, [text]: "as a name" },
  };
  table.put([row, { ...row, vin: vin(2) }, { vin: vin(3) }]);

  const bytes = await exportBytes(table);

  const expected = [expectedRow(row), expectedRow({ ...row, vin: vin(2) }), expectedRow({ vin: vin(3) })];
  expect(await queryParquet(bytes, "select * exclude (decode_time) from $file")).toEqual(expected);
  expect(await readWithHyparquet(bytes)).toMatchObject(expected);
  expect(pl.readParquet(bytes).drop("decode_time").toRecords()).toEqual(expected);
});

describe.each([0, 3])("the columns of a file of %i rows", (count) => {
  const COLUMNS = [
    ...["vin", "make", "model", "model_year", "body_class", "source"].map((name) => [name, "text"] as const),
    ["decode_time", "time"] as const,
    ...["verdict", "attributes"].map((name) => [name, "text"] as const),
    ["year", "integer"] as const,
    ...["verdict_text", "suggested_vin"].map((name) => [name, "text"] as const),
  ];
  let bytes: Buffer;
  beforeAll(async () => {
    await using table = await VehicleTable.create();
    table.put(Array.from({ length: count }, (_, index) => ({ vin: vin(index) })));
    bytes = await exportBytes(table);
  });

  test("are strings, a time in UTC and an integer to DuckDB", async () => {
    const columns = await queryParquet(bytes, "select column_name, column_type from (describe from $file)");

    const types = { text: "VARCHAR", time: "TIMESTAMP WITH TIME ZONE", integer: "INTEGER" };
    expect(columns.map(({ column_name, column_type }) => [column_name, column_type])).toEqual(
      COLUMNS.map(([name, kind]) => [name, types[kind]]),
    );
  });

  test("are strings, a time in UTC and an integer to Polars", () => {
    const { schema } = pl.readParquet(bytes);

    const types = { text: "String", time: "Datetime(ms,UTC)", integer: "Int32" };
    expect(Object.entries(schema).map(([name, type]) => [name, String(type)])).toEqual(
      COLUMNS.map(([name, kind]) => [name, `DataType(${types[kind]})`]),
    );
  });

  test("are compressed by ZSTD, and only the year can be null", () => {
    const { schema, row_groups } = parquetMetadata(new Uint8Array(bytes).buffer);

    const types = { text: "BYTE_ARRAY", time: "INT64", integer: "INT32" };
    expect(schema.slice(1).map(({ name, type, repetition_type }) => [name, type, repetition_type])).toEqual(
      COLUMNS.map(([name, kind]) => [name, types[kind], name === "year" ? "OPTIONAL" : "REQUIRED"]),
    );
    const logical = { text: "STRING", time: "TIMESTAMP", integer: undefined };
    expect(schema.slice(1).map(({ logical_type }) => logical_type?.type)).toEqual(
      COLUMNS.map(([, kind]) => logical[kind]),
    );
    const codecs = row_groups.flatMap(({ columns }) => columns.map(({ meta_data }) => meta_data?.codec));
    expect(codecs).toEqual(count === 0 ? [] : COLUMNS.map(() => "ZSTD"));
  });
});

test("the year is null when the model year is not one", async () => {
  await using table = await VehicleTable.create();
  const modelYears = ["2014", "", "20144", "14", "two", "2014-15", " 2014"];
  table.put(modelYears.map((modelYear, index) => ({ vin: vin(index), modelYear })));

  const bytes = await exportBytes(table);

  const rows = await queryParquet(bytes, "select model_year, year from $file");
  expect(rows).toEqual(modelYears.map((each) => ({ model_year: each, year: each === "2014" ? 2014 : null })));
});

test("a guess that version 0.1.0 stored as a suggestion is left out", async () => {
  await using table = await VehicleTable.create();
  table.put([
    { vin: vin(1), verdictCodes: "1,14", suggestedVin: vin(3) },
    { vin: vin(2), verdictCodes: "1,2", suggestedVin: vin(3) },
  ]);

  const bytes = await exportBytes(table);

  const rows = await queryParquet(bytes, "select vin, suggested_vin from $file");
  expect(rows).toEqual([
    { vin: vin(1), suggested_vin: "" },
    { vin: vin(2), suggested_vin: vin(3) },
  ]);
});

test("DuckDB reads an attribute from its column by name", async () => {
  await using table = await VehicleTable.create();
  table.put([{ vin: vin(1), attributes: { EngineCylinders: "6" } }]);

  const bytes = await exportBytes(table);

  const rows = await queryParquet(bytes, "select attributes->>'EngineCylinders' as cylinders from $file");
  expect(rows).toEqual([{ cylinders: "6" }]);
});

test("a VIN is exported once, without a year hint if it has such an entry, else with the smallest", async () => {
  await using table = await VehicleTable.create();
  table.put([
    { vin: vin(1), modelYearHint: 2014, model: "of 2014" },
    { vin: vin(1), modelYearHint: 0, model: "without a hint" },
    { vin: vin(2), modelYearHint: 2015, model: "of 2015" },
    { vin: vin(2), modelYearHint: 1985, model: "of 1985" },
  ]);

  const bytes = await exportBytes(table);

  const rows = await queryParquet(bytes, "select vin, model from $file");
  expect(rows).toEqual([
    { vin: vin(1), model: "without a hint" },
    { vin: vin(2), model: "of 1985" },
  ]);
});

test("a VIN with several entries at the end of a batch is exported once", async () => {
  await using table = await VehicleTable.create();
  const hints = [0, 1990, 2000];
  table.put(
    Array.from({ length: 3_000 }, (_, index) =>
      hints.map((modelYearHint) => ({ vin: vin(index), modelYearHint })),
    ).flat(),
  );

  const bytes = await exportBytes(table);

  const rows = await queryParquet(bytes, "select count(*)::int as rows, count(distinct vin)::int as vins from $file");
  expect(rows).toEqual([{ rows: 3_000, vins: 3_000 }]);
});

test("negative entries are not exported", async () => {
  await using table = await VehicleTable.create();
  table.put([
    { vin: vin(1), isNegative: true, make: "", model: "", modelYear: "" },
    { vin: vin(2), isNegative: true, make: "", model: "", modelYear: "" },
    { vin: vin(2), modelYearHint: 2014, model: "of 2014" },
  ]);

  const bytes = await exportBytes(table);

  expect(await queryParquet(bytes, "select vin, model from $file")).toEqual([{ vin: vin(2), model: "of 2014" }]);
});

test("the file contains its origin, its time and its row count", async () => {
  await using table = await VehicleTable.create();
  table.put([{ vin: vin(1) }]);
  await using exports = await openExports(table);
  await using file = await exports.create("client", noAbort());

  const bytes = await collect(file.read());

  const { key_value_metadata, created_by } = parquetMetadata(new Uint8Array(bytes).buffer);
  expect(created_by).toBe("vehicle-service version 1.2.3");
  expect(key_value_metadata).toEqual([
    { key: "service", value: "vehicle-service" },
    { key: "version", value: "1.2.3" },
    { key: "snapshot_time", value: new Date(file.snapshotTime).toISOString() },
    { key: "row_count", value: "1" },
  ]);
  expect(file).toMatchObject({ rowCount: 1, mediaType: "application/vnd.apache.parquet" });
  expect(file.fileName).toMatch(/^vehicles-\d{8}T\d{6}Z\.parquet$/);
});

test.each([
  ["attributes", (text: string) => ({ attributes: { Note: text } })],
  ["makes", (text: string) => ({ make: text })],
])("large %s are spread over several row groups with exact bounds of the VINs", async (_, rowOf) => {
  await using table = await VehicleTable.create();
  table.put(Array.from({ length: 4_000 }, (_, index) => ({ vin: vin(index), ...rowOf(`${index}`.repeat(2_500)) })));

  const bytes = await exportBytes(table);

  const groups = await queryParquet(
    bytes,
    `select stats_min_value as first, stats_max_value as last, row_group_num_rows::int as count
     from parquet_metadata($file) where path_in_schema = 'vin' order by row_group_id`,
  );
  expect(groups.length).toBeGreaterThan(1);
  const counts = groups.map(({ count }) => Number(count));
  const firsts = counts.map((_, group) => counts.slice(0, group).reduce((sum, count) => sum + count, 0));
  expect(groups.map(({ first, last }) => [first, last])).toEqual(
    firsts.map((first, group) => [vin(first), vin(first + (counts[group] ?? 0) - 1)]),
  );
});

test("texts that repeat in some rows and differ in others come back as they were", async () => {
  await using table = await VehicleTable.create();
  const rows = Array.from({ length: 4_000 }, (_, index) => ({
    vin: vin(index),
    make: index % 2_000 < 1_000 ? "PETERBILT" : `MAKE ${"ü".repeat(100)} ${index}`,
    attributes: { Note: index < 2_000 ? "x".repeat(1_000) : `${"🚚".repeat(300)} ${index}` },
  }));
  table.put(rows);

  const bytes = await exportBytes(table);

  const expected = rows.map(expectedRow);
  expect(await readWithHyparquet(bytes)).toMatchObject(expected);
  expect(pl.readParquet(bytes).drop("decode_time").toRecords()).toEqual(expected);
  expect(await queryParquet(bytes, "select * exclude (decode_time) from $file")).toEqual(expected);
});

test("a row group has the bounds of its values, of texts in the order of their bytes", async () => {
  await using table = await VehicleTable.create();
  const makes = ["b", "\uffee", "🚚", "a", "ü", "🚗"];
  const times = [1, -1, 2 ** 33, -(2 ** 33), -8_640_000_000_000_000, 8_640_000_000_000_000];
  const rows = makes.map((make, index) => ({
    vin: vin(index),
    make,
    modelYear: index === 0 ? "" : String(2_000 - index),
    decodedAt: times[index] ?? 0,
  }));
  table.put(rows);

  const bytes = await exportBytes(table);

  const { row_groups } = parquetMetadata(new Uint8Array(bytes).buffer);
  const bounds = row_groups[0]?.columns.map(({ meta_data }) => [
    meta_data?.path_in_schema[0],
    [meta_data?.statistics?.min_value, meta_data?.statistics?.max_value, meta_data?.statistics?.null_count],
  ]);
  expect(Object.fromEntries(bounds ?? [])).toMatchObject({
    vin: [vin(0), vin(5), 0n],
    make: ["a", "🚚", 0n],
    model_year: ["", "1999", 0n],
    decode_time: [new Date(Math.min(...times)), new Date(Math.max(...times)), 0n],
    year: [1995, 1999, 1n],
  });
  const read = await readWithHyparquet(bytes, ["decode_time"]);
  expect(read.map(({ decode_time }) => Number(decode_time))).toEqual(times);
});
