import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";

import { expect, test } from "vitest";

import { ExportFailedError, ExportLimitError, ExportStorageError } from "../../src/export/errors.ts";
import { StoreUnavailableError } from "../../src/vehicle/errors.ts";
import { eventually } from "../support/eventually.ts";
import { filesIn } from "./open-files.ts";
import { collect, exportDirectory, noAbort, openExports } from "./open-exports.ts";
import { queryParquet } from "./read-parquet.ts";
import { VehicleTable } from "./vehicle-table.ts";

function vin(index: number): string {
  return `1XPWD40X${String(index).padStart(9, "0")}`;
}

async function nextTurn(): Promise<false> {
  await setImmediate();
  return false;
}

/** Such as `1XPWD40X000000001 PETERBILT`. */
async function readVinsAndMakes(bytes: Buffer): Promise<string[]> {
  const rows = await queryParquet(bytes, "select vin || ' ' || make as row from $file");
  return rows.map(({ row }) => (typeof row === "string" ? row : ""));
}

/** A table whose rows take about 20 bytes each when compressed. */
async function tableOf(count: number): Promise<VehicleTable> {
  const table = await VehicleTable.create();
  table.put(
    Array.from({ length: count }, (_, index) => ({
      vin: vin(index),
      attributes: { Note: randomBytes(20).toString("hex") },
    })),
  );
  return table;
}

test("the bytes come in chunks of 64 KiB, each read on demand", async () => {
  await using table = await tableOf(20_000);
  await using exports = await openExports(table);
  await using file = await exports.create("client", noAbort());

  const chunks = await Array.fromAsync(file.read());

  expect(chunks.length).toBeGreaterThan(2);
  expect(new Set(chunks.slice(0, -1).map(({ length }) => length))).toEqual(new Set([65_536]));
  expect(chunks.reduce((sum, { length }) => sum + length, 0)).toBe(file.sizeBytes);
});

test("a part of the file has the same bytes as in the whole", async () => {
  await using table = await tableOf(20_000);
  await using exports = await openExports(table);
  await using file = await exports.create("client", noAbort());
  const whole = await collect(file.read());

  const part = await collect(file.read(10, 100_000));

  expect(part.equals(whole.subarray(10, 100_000))).toBe(true);
});

test("a third concurrent export of one client is refused, but not one of another client", async () => {
  await using table = await tableOf(1);
  await using exports = await openExports(table);
  await using _first = await exports.create("client", noAbort());
  await using _second = await exports.create("client", noAbort());

  const third = exports.create("client", noAbort());

  await expect(third).rejects.toBeInstanceOf(ExportLimitError);
  await using other = await exports.create("other", noAbort());
  expect(other.rowCount).toBe(1);
});

test("a fifth concurrent export is refused, with the time to wait", async () => {
  await using table = await tableOf(1);
  await using exports = await openExports(table);
  await using stack = new AsyncDisposableStack();
  for (const client of ["a", "b", "c", "d"]) {
    stack.use(await exports.create(client, noAbort()));
  }

  const fifth = exports.create("e", noAbort());

  await expect(fifth).rejects.toMatchObject({ name: "ExportLimitError", retryAfterMs: 5_000 });
});

test("a disposed export makes room for exactly one other, even if it is disposed twice", async () => {
  await using table = await tableOf(1);
  await using exports = await openExports(table, { limits: { perClient: 1, perProcess: 1 } });
  const first = await exports.create("client", noAbort());
  await first[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();

  await using _second = await exports.create("client", noAbort());

  await expect(exports.create("client", noAbort())).rejects.toBeInstanceOf(ExportLimitError);
});

test("a failed export returns its slot and leaves no file", async () => {
  await using table = await tableOf(1);
  await using exports = await openExports(table, { limits: { perClient: 1, perProcess: 1 } });
  table.database.exec("alter table vehicles rename to elsewhere");
  await expect(exports.create("client", noAbort())).rejects.toBeInstanceOf(StoreUnavailableError);
  table.database.exec("alter table elsewhere rename to vehicles");

  await using file = await exports.create("client", noAbort());

  expect(file.rowCount).toBe(1);
  expect(await filesIn(exportDirectory(table))).toHaveLength(1);
});

test("a disposed file leaves nothing on the disk", async () => {
  await using table = await tableOf(100);
  await using exports = await openExports(table);
  const file = await exports.create("client", noAbort());
  await collect(file.read());
  const during = await filesIn(exportDirectory(table));

  await file[Symbol.asyncDispose]();

  expect(during).toEqual([expect.stringContaining("(deleted)")]);
  expect(await filesIn(exportDirectory(table))).toEqual([]);
});

test("an aborted export ends with the reason, and nothing is left", async () => {
  await using table = await tableOf(10_000);
  await using exports = await openExports(table);
  const caller = new AbortController();
  const reason = new Error("the caller is gone");
  const creating = exports.create("client", caller.signal);

  caller.abort(reason);

  await expect(creating).rejects.toBe(reason);
  expect(await filesIn(exportDirectory(table))).toEqual([]);
});

test("files are written one after the other, and a waiting caller may leave at once", async () => {
  await using table = await tableOf(10_000);
  await using exports = await openExports(table);
  const ended: string[] = [];
  const first = exports.create("client", noAbort()).finally(() => ended.push("first"));
  const caller = new AbortController();
  const second = exports.create("client", caller.signal).finally(() => ended.push("second"));
  const third = exports.create("other", noAbort()).finally(() => ended.push("third"));

  caller.abort(new Error("the caller is gone"));
  await expect(second).rejects.toThrow("the caller is gone");
  await using file = await first;
  await using last = await third;

  expect(ended).toEqual(["second", "first", "third"]);
  expect([file.rowCount, last.rowCount]).toEqual([10_000, 10_000]);
});

test("disposing ends exports that are being written and deletes files that are being read", async () => {
  await using table = await tableOf(10_000);
  const exports = await openExports(table);
  await using file = await exports.create("client", noAbort());
  const creating = exports.create("client", noAbort());
  const [outcome] = await Promise.all([Promise.allSettled([creating]), exports[Symbol.asyncDispose]()]);

  expect(outcome).toEqual([{ status: "rejected", reason: expect.any(ExportFailedError) }]);
  await expect(file.read().next()).rejects.toThrow("closed");
  expect(await filesIn(exportDirectory(table))).toEqual([]);
});

test("without room on the disk nothing is written", async () => {
  await using table = await tableOf(1);
  await using exports = await openExports(table, { keepFreeBytes: Number.MAX_SAFE_INTEGER });

  const creating = exports.create("client", noAbort());

  await expect(creating).rejects.toBeInstanceOf(ExportStorageError);
  expect(await filesIn(exportDirectory(table))).toEqual([]);
});

test("a start removes files of a killed process, and nothing else", async () => {
  await using table = await tableOf(1);
  const directory = exportDirectory(table);
  await mkdir(directory);
  await writeFile(join(directory, "export-0b6e.parquet.tmp"), "PAR1");
  await writeFile(join(directory, "other.parquet.tmp"), "");
  await writeFile(join(directory, "export-of-mine.parquet"), "");

  await using _exports = await openExports(table);

  expect(await readdir(directory)).toEqual(["export-of-mine.parquet", "other.parquet.tmp"]);
});

test("a process that is killed during an export leaves no file", async () => {
  await using table = await tableOf(1_000);
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, "export-and-wait.ts"), table.directory, exportDirectory(table)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  await once(child.stdout, "data");
  // A file has a name for a moment, until it has been opened.
  const withoutName = expect.stringContaining("(deleted)");
  await eventually(async () =>
    expect(await filesIn(exportDirectory(table), child.pid)).toEqual([withoutName, withoutName]),
  );

  child.kill("SIGKILL");
  await once(child, "exit");

  expect(await readdir(exportDirectory(table))).toEqual([]);
});

test("an export has all rows as they were at one moment, even if they change or are removed meanwhile", async () => {
  const count = 50_000;
  await using table = await tableOf(count);
  await using exports = await openExports(table);
  const creating = exports.create("client", noAbort());
  const done = creating.then(() => true);
  // One after the other, so that at any moment the changed rows are exactly the first ones.
  const update = table.database.prepare("update vehicles set make = 'CHANGED' where vin = ?");
  const remove = table.database.prepare("delete from vehicles where vin = ?");
  let changed = 0;
  while (changed < count && !(await Promise.race([done, nextTurn()]))) {
    for (const end = Math.min(changed + 16, count); changed < end; changed++) {
      (changed % 3 === 0 ? remove : update).run(vin(changed));
    }
  }

  await using file = await creating;

  const rows = await readVinsAndMakes(await collect(file.read()));
  const boundary = Number(rows.find((row) => row.endsWith("PETERBILT"))?.slice(8, 17));
  const expected = Array.from({ length: count }, (_, index) => index)
    .filter((index) => index >= boundary || index % 3 !== 0)
    .map((index) => `${vin(index)} ${index < boundary ? "CHANGED" : "PETERBILT"}`);
  expect(rows).toEqual(expected);
});
