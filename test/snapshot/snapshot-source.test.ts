import { execFile } from "node:child_process";
import { copyFile, mkdir, readdir, readFile, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openSnapshot, type SnapshotSource } from "../../src/snapshot/snapshot-source.ts";
import { SourceUnavailableError } from "../../src/vehicle/errors.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { LogRecorder } from "./log-recorder.ts";
import { makeTemporaryDirectory, type TemporaryDirectory } from "./temporary-directory.ts";
import { unpackHere } from "./unpack-here.ts";
import { SMALL_DATABASE_VIN, writeVpicDatabase } from "./vpic-database.ts";

const QUERY = { vin: parseVin(SMALL_DATABASE_VIN) };
/** Other tests cover changes of the file. */
const NEVER_MS = 3_600_000;
const PAGE_BYTES = 4096;
const VERSION_AT = 8;

let directory: TemporaryDirectory;
let dataDir: string;
let snapshotFile: string;
let sourceFile: string;
let log: LogRecorder;

beforeEach(async () => {
  directory = await makeTemporaryDirectory();
  dataDir = join(directory.path, "data");
  snapshotFile = join(dataDir, "snapshot.bin");
  sourceFile = join(directory.path, "vpic.db");
  log = new LogRecorder();
  writeVpicDatabase(sourceFile);
});

afterEach(async () => {
  await directory[Symbol.asyncDispose]();
});

function open(
  overrides: { dataDir?: string; snapshotPath?: string; now?: () => number; elapsedMs?: () => number } = {},
): SnapshotSource {
  return openSnapshot({ dataDir, snapshotPath: sourceFile, logger: log, pollMs: NEVER_MS, ...overrides });
}

async function modelFrom(source: SnapshotSource): Promise<string> {
  const decode = await source.decode(QUERY, AbortSignal.timeout(250_000));
  return `${decode.modelYear} ${decode.make} ${decode.model} ${decode.bodyClass}`;
}

const MODEL = "2014 TESTA Rossa Coupe";

async function unpackOnce(): Promise<void> {
  await using source = open();
  await source.whenSettled();
}

describe("a snapshot that is unpacked for the first time", () => {
  test("makes the decode wait and answers it", async () => {
    await using source = open();

    const model = await modelFrom(source);

    expect(model).toBe(MODEL);
  });

  test("creates the data directory and leaves no temporary files in it", async () => {
    await unpackOnce();

    const files = await readdir(dataDir);

    expect(files.toSorted()).toEqual(["snapshot.bin", "snapshot.bin.lock"]);
  });

  test("logs its progress and the date of the data", async () => {
    await using source = open();
    const statusBefore = source.status();

    await source.whenSettled();

    expect(statusBefore).toEqual({ state: "preparing" });
    expect(source.status()).toEqual({ state: "ready", dataDate: "2025-05-06" });
    expect(log.lines.at(-1)).toMatchObject({ message: "snapshot ready", fields: { dataDate: "2025-05-06" } });
    expect(log.messages("info")).toContain("unpacking the snapshot");
  });

  test("accepts gzipped databases", async () => {
    const gzipped = join(directory.path, "vpic.db.gz");
    await writeFile(gzipped, gzipSync(await readFile(sourceFile)));
    await using source = open({ snapshotPath: gzipped });

    const model = await modelFrom(source);

    expect(model).toBe(MODEL);
  });

  test("stops a waiting decode when its signal is aborted", async () => {
    await using source = open();
    const caller = new AbortController();
    const decode = source.decode(QUERY, caller.signal);

    caller.abort(new Error("enough"));

    await expect(decode).rejects.toThrow("enough");
    expect(source.status()).toEqual({ state: "preparing" });
  });

  test("stops when it is closed, and leaves no temporary files", async () => {
    // The embedded database, because unpacking it takes long enough.
    const source = openSnapshot({ dataDir, logger: log });
    const decode = source.decode(QUERY, AbortSignal.timeout(250_000));
    await log.reached("arranging");

    await source[Symbol.asyncDispose]();

    await expect(decode).rejects.toThrow(SourceUnavailableError);
    expect(await readdir(dataDir)).toEqual(["snapshot.bin.lock"]);
    expect(log.messages("error")).toEqual([]);
  });

  test.each(["snapshot.bin.part-old-source", "snapshot.db", "snapshot.db.part-old"])(
    "removes the leftovers of crashed unpackings and older versions: %s",
    async (name) => {
      await mkdir(dataDir);
      await writeFile(join(dataDir, name), "half a database");

      await unpackOnce();

      expect(await readdir(dataDir)).not.toContain(name);
    },
  );

  test("does not begin when it is closed at once", async () => {
    const source = open();

    await source[Symbol.asyncDispose]();

    expect(await readdir(directory.path)).toEqual(["vpic.db"]);
    expect(log.messages("error")).toEqual([]);
  });

  test("never changes its database, even if it has the name of an older version's snapshot", async () => {
    await mkdir(dataDir);
    const snapshotPath = join(dataDir, "snapshot.db");
    await copyFile(sourceFile, snapshotPath);
    await using source = open({ snapshotPath });

    const model = await modelFrom(source);
    await using again = open({ snapshotPath });

    expect(model).toBe(MODEL);
    expect(await modelFrom(again)).toBe(MODEL);
    expect((await readdir(dataDir)).toSorted()).toEqual(["snapshot.bin", "snapshot.bin.lock", "snapshot.db"]);
  });

  test("refuses a database that has the name of the snapshot itself", async () => {
    await mkdir(dataDir);
    await copyFile(sourceFile, snapshotFile);
    const before = await readFile(snapshotFile);
    await using source = open({ snapshotPath: snapshotFile });

    await expect(modelFrom(source)).rejects.toThrow("SNAPSHOT_PATH: its path is reserved for the unpacked snapshot");

    expect((await readFile(snapshotFile)).equals(before)).toBe(true);
  });

  test("is unpacked once when several start together", async () => {
    const sources = [open(), open(), open()];

    const models = await Promise.all(sources.map(modelFrom));

    expect(models).toEqual([MODEL, MODEL, MODEL]);
    const built = log.lines.filter((line) => line.fields["step"] === "done");
    expect(built).toHaveLength(1);
    for (const source of sources) {
      await source[Symbol.asyncDispose]();
    }
  });
});

describe("processes that start together", () => {
  test("unpack once, and all can decode", async () => {
    const outputs = await Promise.all([runProcess(), runProcess(), runProcess()]);

    const built = outputs.filter((output) => output.includes("step: done"));
    expect(built).toHaveLength(1);
    expect(outputs.every((output) => output.includes("model: Rossa"))).toBe(true);
  });
});

describe("a snapshot that is already unpacked", () => {
  beforeEach(() => unpackHere(sourceFile, dataDir));

  test("is opened without unpacking", async () => {
    const before = await stat(snapshotFile);

    await using source = open();

    expect(await modelFrom(source)).toBe(MODEL);
    expect((await stat(snapshotFile)).ino).toBe(before.ino);
  });

  test.each([
    ["cut short", () => cutLastByte(snapshotFile)],
    ["empty", () => truncate(snapshotFile, 0)],
    ["garbage", () => writeFile(snapshotFile, "no database at all".repeat(PAGE_BYTES))],
    ["damaged in one bit", () => flipOneBit(snapshotFile)],
    ["of another kind", () => copyFile(sourceFile, snapshotFile)],
    ["of another version", () => changeVersion(snapshotFile)],
  ])("is rebuilt when it is %s", async (_, damage) => {
    const before = await stat(snapshotFile);
    await damage();

    await using source = open();

    expect(await modelFrom(source)).toBe(MODEL);
    expect((await stat(snapshotFile)).ino).not.toBe(before.ino);
    expect(log.messages("warn")).toEqual([]);
  });

  test("is rebuilt from another database", async () => {
    const before = await stat(snapshotFile);
    const otherFile = join(directory.path, "other.db");
    writeVpicDatabase(otherFile);

    await using source = open({ snapshotPath: otherFile });

    expect(await modelFrom(source)).toBe(MODEL);
    expect((await stat(snapshotFile)).ino).not.toBe(before.ino);
  });

  test("removes the files of an unpacking that was killed", async () => {
    const leftover = join(dataDir, "snapshot.bin.part-killed-source");
    await writeFile(leftover, "a whole database");

    await using source = open();

    expect(await modelFrom(source)).toBe(MODEL);
    expect(await readdir(dataDir)).toEqual(["snapshot.bin", "snapshot.bin.lock"]);
  });

  test("leaves the files of another unpacking process alone", async () => {
    const inProgress = join(dataDir, "snapshot.bin.part-other");
    await writeFile(inProgress, "half a snapshot");
    using lock = holdLock(`${snapshotFile}.lock`);

    await using source = open();

    expect(await modelFrom(source)).toBe(MODEL);
    expect(lock.isOpen()).toBe(true);
    expect(await readdir(dataDir)).toContain("snapshot.bin.part-other");
  });
});

describe("a snapshot that cannot be unpacked", () => {
  test.each([
    ["is missing", () => Promise.resolve("missing.db"), "SNAPSHOT_PATH: there is no such file"],
    ["is a directory", () => Promise.resolve("."), "SNAPSHOT_PATH: it is not a file"],
    [
      "is something else",
      () => write("notes.txt", "hello"),
      "SNAPSHOT_PATH: it is neither NHTSA's .plain.zip or .sql nor a SQLite database, gzipped or not",
    ],
    ["is truncated", () => writeCut("cut.db.gz"), "SNAPSHOT_PATH: its compressed data is truncated"],
    [
      "lacks a table",
      () => writeWithout("Wmi_Make"),
      "SNAPSHOT_PATH: it is not a vPIC database: there is no table Wmi_Make",
    ],
    ["has no patterns", () => writeEmpty("empty.db"), "SNAPSHOT_PATH: it has no patterns to decode with"],
  ])("because its database %s says so once", async (_, prepare, reason) => {
    const name = await prepare();
    await using source = open({ snapshotPath: join(directory.path, name) });

    const decodes = [modelFrom(source), modelFrom(source)];

    await expect(decodes[0]).rejects.toThrow(`the snapshot cannot be used: ${reason}`);
    await expect(decodes[1]).rejects.toThrow(SourceUnavailableError);
    expect(source.status()).toEqual({ state: "unavailable", reason });
    expect(log.lines.filter((line) => line.level === "error").map((line) => line.fields["reason"])).toEqual([reason]);
  });

  test("because a write-ahead log is next to its database says so", async () => {
    await writeFile(`${sourceFile}-wal`, "not merged yet");
    await using source = open();

    await expect(modelFrom(source)).rejects.toThrow("a write-ahead log (-wal) is next to it");
  });

  test("because the data directory is a file says so", async () => {
    await using source = open({ dataDir: sourceFile });

    await expect(modelFrom(source)).rejects.toThrow("the data directory: it is not a directory");
  });

  test("is retried, but its failure is logged once", async () => {
    let elapsedMs = 0;
    await using source = open({ snapshotPath: join(directory.path, "missing.db"), elapsedMs: () => elapsedMs });
    await source.whenSettled();
    elapsedMs += 60_000;

    await expect(modelFrom(source)).rejects.toThrow("there is no such file");

    expect(source.status()).toMatchObject({ state: "unavailable" });
    expect(log.messages("error")).toHaveLength(1);
  });

  test("is retried a minute later, not before", async () => {
    let elapsedMs = 0;
    const laterFile = join(directory.path, "later.db");
    await using source = open({ snapshotPath: laterFile, elapsedMs: () => elapsedMs });
    await source.whenSettled();
    writeVpicDatabase(laterFile);
    elapsedMs += 59_000;
    const tooEarly = await modelFrom(source).catch((error: unknown) => error);
    elapsedMs += 1000;

    const model = await modelFrom(source);

    expect(tooEarly).toMatchObject({ name: "SourceUnavailableError", retryAfterMs: 1000 });
    expect(model).toBe(MODEL);
  });

  test("is retried a minute later even if the clock was set back a day", async () => {
    let elapsedMs = 0;
    let nowMs = Date.parse("2026-11-22T12:00:00Z");
    const laterFile = join(directory.path, "later.db");
    await using source = open({ snapshotPath: laterFile, now: () => nowMs, elapsedMs: () => elapsedMs });
    await source.whenSettled();
    writeVpicDatabase(laterFile);
    nowMs -= 86_400_000;
    elapsedMs += 60_000;

    const model = await modelFrom(source);

    expect(model).toBe(MODEL);
  });
});

/** Runs a process that opens the same data directory and decodes one VIN. Resolves to its output. */
async function runProcess(): Promise<string> {
  const module = new URL("../../src/snapshot/snapshot-source.ts", import.meta.url).href;
  const code = `
    import { openSnapshot } from ${JSON.stringify(module)};
    const print = (message, fields) => console.log("step: " + fields?.step);
    const logger = { debug: print, info: print, warn: print, error: print };
    await using source = openSnapshot({ ...${JSON.stringify({ dataDir, snapshotPath: sourceFile })}, logger });
    const vehicle = await source.decode(${JSON.stringify(QUERY)}, AbortSignal.timeout(250_000));
    console.log("model: " + vehicle.model);`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", code]);
  return stdout;
}

/** Keeps the file's modification time, as a failing disk would. */
async function cutLastByte(path: string): Promise<void> {
  const { size, atime, mtime } = await stat(path);
  await truncate(path, size - 1);
  await utimes(path, atime, mtime);
}

/** Keeps the file's size and modification time, as a failing disk would. */
async function flipOneBit(path: string): Promise<void> {
  const { mtime, atime } = await stat(path);
  const content = await readFile(path);
  const middle = Math.floor(content.length / 2);
  content[middle] = (content[middle] ?? 0) ^ 1;
  await writeFile(path, content);
  await utimes(path, atime, mtime);
}

async function changeVersion(path: string): Promise<void> {
  const content = await readFile(path);
  content.writeUInt32LE(1, VERSION_AT);
  await writeFile(path, content);
}

/** Holds the lock as a process that unpacks does. */
function holdLock(path: string): Disposable & { isOpen(): boolean } {
  const database = new Database(path);
  database.exec("BEGIN EXCLUSIVE");
  return { isOpen: () => database.inTransaction, [Symbol.dispose]: () => database.close() };
}

async function write(name: string, content: string | Buffer): Promise<string> {
  await writeFile(join(directory.path, name), content);
  return name;
}

async function writeCut(name: string): Promise<string> {
  const gzipped = gzipSync(await readFile(sourceFile));
  return write(name, gzipped.subarray(0, gzipped.length / 2));
}

async function writeWithout(table: string): Promise<string> {
  writeVpicDatabase(join(directory.path, "without.db"), table);
  return Promise.resolve("without.db");
}

async function writeEmpty(name: string): Promise<string> {
  writeVpicDatabase(join(directory.path, name));
  const database = new Database(join(directory.path, name));
  database.exec("DELETE FROM Pattern");
  database.close();
  return Promise.resolve(name);
}
