import { appendFile, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PartFile } from "../../src/cli/part-file.ts";
import { queryParquet } from "../export/read-parquet.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const COLUMNS = ["id", "note", "make", "error"];
const INPUT = [
  [1, 'two "lines"\nand, a comma'],
  [2, null],
  [3, " blank "],
];
const OUTPUT = INPUT.map((cells, index) => [...cells, "FORD", index === 1 ? "it failed" : ""]);
const NAMES = ["out.csv", "out.jsonl", "out.parquet"];

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;

beforeEach(async () => {
  directory = await temporaryDirectory();
});

afterEach(() => directory[Symbol.asyncDispose]());

function open(name: string): PartFile {
  return new PartFile({ path: join(directory.path, name), columns: COLUMNS, usersCount: 2 });
}

async function* inputRows(input = INPUT) {
  yield* input.map((cells) => ({ cells }));
}

/** Leaves the part of a run that was interrupted after some rows. */
async function interruptAfter(name: string, rows: number): Promise<string> {
  await using file = open(name);
  await file.begin();
  await file.write(OUTPUT.slice(0, rows));
  return join(directory.path, `${name}.part`);
}

async function complete(name: string): Promise<Buffer> {
  await using file = open(name);
  await file.begin();
  await file.write(OUTPUT);
  await file.finish();
  return readFile(join(directory.path, name));
}

describe.each(NAMES)("%s", (name) => {
  test("has its final name when it is complete, and not before", async () => {
    await using file = open(name);
    await file.begin();
    await file.write(OUTPUT);
    const before = await readdir(directory.path);

    await file.finish();

    expect([before, await readdir(directory.path)]).toEqual([[`${name}.part`], [name]]);
  });

  test.each([0, 1, 2, 3])("is the same when a run that ended after %i rows is continued", async (count) => {
    const expected = await complete(name);
    await interruptAfter(name, count);
    await using file = open(name);
    const rows = inputRows();

    const earlier = await file.continueWith(rows);

    const rest = (await Array.fromAsync(rows)).length;
    expect([earlier, rest]).toEqual([{ rows: count, failed: count > 1 ? 1 : 0 }, 3 - count]);
    await file.write(OUTPUT.slice(count));
    await file.finish();
    expect(await readFile(join(directory.path, name))).toEqual(expected);
  });

  test("is the same when the process was killed at any place inside a row", async () => {
    const expected = await complete(name);
    const partPath = await interruptAfter(name, 3);
    const whole = await readFile(partPath);
    for (let size = 0; size <= whole.length; size += 7) {
      await writeFile(partPath, whole);
      await truncate(partPath, size);
      await using file = open(name);
      const { rows } = await file.continueWith(inputRows());
      await file.write(OUTPUT.slice(rows));
      await file.finish();

      expect((await readFile(join(directory.path, name))).equals(expected), `cut at ${size}`).toBe(true);
    }
  });

  test("is not continued with other rows", async () => {
    await interruptAfter(name, 2);
    await using file = open(name);

    const work = file.continueWith(inputRows(INPUT.toReversed()));

    await expect(work).rejects.toThrow(/out\.\w+\.part cannot be continued: its row 1 is not from this input/);
  });

  test("is not continued with fewer rows than it has", async () => {
    await interruptAfter(name, 2);
    await using file = open(name);

    await expect(file.continueWith(inputRows(INPUT.slice(0, 1)))).rejects.toThrow("its row 2 is not from this input");
  });

  test("is not continued with other columns", async () => {
    await interruptAfter(name, 1);
    const columns = ["id", "note", "model", "error"];
    await using file = new PartFile({ path: join(directory.path, name), columns, usersCount: 2 });

    await expect(file.continueWith(inputRows())).rejects.toThrow("it has other columns");
  });

  test("does not overwrite the part of an earlier run", async () => {
    const partPath = await interruptAfter(name, 1);
    await using file = open(name);

    await expect(file.begin()).rejects.toThrow(`${partPath} is from an interrupted run; continue it with --resume`);
  });
});

test("Parquet has the types of the columns", async () => {
  const rows = await queryParquet(await complete("out.parquet"), "select * from $file order by id");
  const [types] = await queryParquet(
    await complete("out.parquet"),
    "select typeof(id) as id, typeof(note) as note from $file",
  );

  expect(rows.map(({ id, note, error }) => [Number(id), note, error])).toEqual([
    [1, INPUT[0]?.[1], ""],
    [2, null, "it failed"],
    [3, " blank ", ""],
  ]);
  expect(types).toEqual({ id: "BIGINT", note: "VARCHAR" });
});

test("a part that is not from this command is refused", async () => {
  await appendFile(join(directory.path, "out.csv.part"), "something else\n1\n");
  await using file = open("out.csv");

  await expect(file.continueWith(inputRows())).rejects.toThrow("it has other columns");
});

test("an unknown ending is refused", () => {
  expect(() => open("out.xlsx")).toThrow("expected a name that ends in .csv, .jsonl or .parquet, or -");
});
