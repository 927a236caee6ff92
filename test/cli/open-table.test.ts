import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { parquetWriteFile } from "hyparquet-writer";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openTable } from "../../src/cli/open-table.ts";
import { columnOfVins } from "../../src/table/vin-column.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const VIN = "1XPWD40X1ED215307";
const OTHER = "1XKWDB0X57J211825";

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;

beforeEach(async () => {
  directory = await temporaryDirectory();
});

afterEach(() => directory[Symbol.asyncDispose]());

/** Columns and cells of a file with this content. */
async function read(name: string, content: string | Buffer) {
  const path = join(directory.path, name);
  await writeFile(path, content);
  const { columns, rows } = await openTable(path, Readable.from([]));
  return { columns, cells: (await Array.fromAsync(rows)).map(({ cells }) => cells) };
}

describe("a table is read from", () => {
  test.each([
    ["CSV", "a.csv", `id,vin\n1,"${VIN}"\n2,${OTHER}\n`],
    ["CSV with semicolons", "a.csv", `id;vin\r\n1;${VIN}\r\n2;${OTHER}\r\n`],
    ["CSV of a spreadsheet", "a.csv", `\uFEFFid,vin\r\n1,${VIN}\r\n\r\n2,${OTHER}`],
    ["UTF-16", "a.csv", Buffer.from(`\uFEFFid,vin\n1,${VIN}\n2,${OTHER}\n`, "utf16le")],
    ["TSV", "a.tsv", `id\tvin\n1\t${VIN}\n2\t${OTHER}\n`],
    ["JSON lines", "a.ndjson", `{"id":"1","vin":"${VIN}"}\n\n{"id":"2","vin":"${OTHER}"}\n`],
    ["JSON lines under another name", "vins", `{"id":"1","vin":"${VIN}"}\n{"id":"2","vin":"${OTHER}"}\n`],
    ["TSV under another name", "vins.data", `id\tvin\n1\t${VIN}\n2\t${OTHER}\n`],
  ])("%s", async (_, name, content) => {
    expect(await read(name, content)).toEqual({
      columns: ["id", "vin"],
      cells: [
        ["1", VIN],
        ["2", OTHER],
      ],
    });
  });

  test.each([
    ["text", "a.txt", `${VIN}\n${OTHER}\n`],
    ["text with a header", "a.txt", `VIN\n${VIN}\n${OTHER}\n`],
    ["text under another name", "vins", `${VIN}\n${OTHER}\n`],
  ])("%s", async (_, name, content) => {
    const { columns, cells } = await read(name, content);

    expect(columns.map((column) => column.toLowerCase())).toEqual(["vin"]);
    expect(cells).toEqual([[VIN], [OTHER]]);
  });

  test("CSV without a header", async () => {
    expect(await read("a.csv", `1,${VIN}\n`)).toEqual({ columns: ["column_1", "column_2"], cells: [["1", VIN]] });
  });

  test("standard input, by its content", async () => {
    const { columns, rows } = await openTable("-", Readable.from([Buffer.from(`id,vin\n1,${VIN}`), Buffer.from("\n")]));

    expect(columns).toEqual(["id", "vin"]);
    expect(await Array.fromAsync(rows)).toMatchObject([{ cells: ["1", VIN] }]);
  });

  test("Parquet", async () => {
    const path = join(directory.path, "a.parquet");
    parquetWriteFile({
      filename: path,
      columnData: [
        { name: "vin", data: [VIN, OTHER], type: "STRING" },
        { name: "km", data: [12n, 13n], type: "INT64" },
      ],
    });

    const table = await openTable(path, Readable.from([]));

    expect(table.columns).toEqual(["vin", "km"]);
    expect((await Array.fromAsync(table.rows)).map(({ cells }) => cells)).toEqual([
      [VIN, 12n],
      [OTHER, 13n],
    ]);
    expect(table.progress()).toBe(1);
  });
});

test("a short row is filled up, and a row that is too long has a fault", async () => {
  const path = join(directory.path, "a.csv");
  await writeFile(path, `id,vin\n1\n2,${VIN},x\n`);

  const { rows } = await openTable(path, Readable.from([]));

  expect(await Array.fromAsync(rows)).toEqual([
    { cells: ["1", ""], fault: undefined },
    { cells: ["2", VIN], fault: "this row has 3 cells, but there are only 2 columns" },
  ]);
});

test("columns with the same name get different names", async () => {
  expect((await read("a.csv", "note,vin,note,\n1,2,3,4\n")).columns).toEqual(["note", "vin", "note_2", "column_4"]);
});

test.each([
  ["a.csv", "", "there are no rows"],
  ["a.jsonl", '{"vin":1}\n[1]\n', "line 2 is not a JSON object"],
  ["a.jsonl", '{"vin":1}\n{"vin"\n', "line 2 is not JSON"],
  ["a.csv", 'vin\n"unclosed\n', "Quote Not Closed"],
])("%s with %j is refused", async (name, content, fault) => {
  await expect(read(name, content)).rejects.toThrow(fault);
});

describe("the column of VINs", () => {
  const cells = [["1", VIN, VIN, "x"]];

  test.each([
    [["id", "vin", "other", "note"], 1],
    [["id", "a", "VIN", "note"], 2],
    [["id", "a", "vehicleVIN", "note"], 2],
    [["id", "a", "note", "VIN_CODE"], 3],
    [["id", "Vehicle Identification Number", "b", "note"], 1],
    [["vin", "vin 2", "b", "c"], 1],
  ])("is found by name in %j", (columns, index) => {
    expect(columnOfVins({ columns, sample: cells.map((each) => ({ cells: each })) }, undefined)).toBe(index);
  });

  test("is found by content", () => {
    const sample = [{ cells: ["1", ` ${VIN.toLowerCase()}`, "x"] }, { cells: ["2", "", "x"] }];

    expect(columnOfVins({ columns: ["Vincent", "chassis", "c"], sample }, undefined)).toBe(1);
  });

  test("must be named when it is not clear", () => {
    const table = { columns: ["a", "b", "c", "d"], sample: cells.map((each) => ({ cells: each })) };

    expect(() => columnOfVins(table, undefined)).toThrow("name it with --column. The columns: a, b, c, d");
    expect(() => columnOfVins(table, "e")).toThrow("--column: there is no column e");
    expect(columnOfVins(table, "c")).toBe(2);
  });
});
