import { appendFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openSnapshot, type SnapshotOptions, type SnapshotSource } from "../../src/snapshot/snapshot-source.ts";
import { inspectSource } from "../../src/snapshot/source-file.ts";
import { unpackSnapshot } from "../../src/snapshot/unpack.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { eventually } from "../support/eventually.ts";
import { zip } from "./dump-zip.ts";
import { LogRecorder } from "./log-recorder.ts";
import { DUMP_TABLES, DUMP_VIN, formatDump } from "./sql-dump-file.ts";
import { makeTemporaryDirectory, type TemporaryDirectory } from "./temporary-directory.ts";

const DUMP = formatDump(DUMP_TABLES);
const OCTOBER = zip([{ name: "vPICList_lite_2026_10.sql", content: DUMP }]);
const NOVEMBER = zip([{ name: "vPICList_lite_2026_11.sql", content: DUMP.replace("5571\t388", "5571\t389") }]);

const DECEMBER = zip([{ name: "vPICList_lite_2026_12.sql", content: DUMP.replace("5571\t388", "5571\t390") }]);

let directory: TemporaryDirectory;
let path: string;
let log: LogRecorder;

beforeEach(async () => {
  directory = await makeTemporaryDirectory();
  path = join(directory.path, "vpic.zip");
  log = new LogRecorder();
  await writeFile(path, OCTOBER);
});

afterEach(async () => {
  await directory[Symbol.asyncDispose]();
});

function options(): SnapshotOptions {
  return {
    dataDir: join(directory.path, "data"),
    snapshotPath: path,
    logger: log,
    now: () => Date.parse("2026-11-22T12:00:00Z"),
    pollMs: 10,
  };
}

async function open(): Promise<SnapshotSource> {
  const source = openSnapshot(options());
  await source.whenSettled();
  return source;
}

async function replace(content: Buffer): Promise<void> {
  await writeFile(`${path}.next`, content);
  await rename(`${path}.next`, path);
}

async function modelFrom(source: SnapshotSource): Promise<string> {
  const { dataDate, model } = await source.decode({ vin: parseVin(DUMP_VIN) }, AbortSignal.timeout(60_000));
  return `${dataDate}: ${model}`;
}

test("a month's new file is used without a restart, and no decode fails meanwhile", async () => {
  await using source = await open();
  const before = await modelFrom(source);

  await replace(NOVEMBER);

  const models = new Set<string>();
  while (!models.has("2026-11: 389")) {
    models.add(await modelFrom(source));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(before).toBe("2026-10: 388");
  expect([...models]).toEqual(["2026-10: 388", "2026-11: 389"]);
  expect(source.status()).toEqual({ state: "ready", dataDate: "2026-11" });
  expect(log.messages("error")).toEqual([]);
  expect(log.lines.at(-1)).toMatchObject({
    message: "snapshot replaced",
    fields: { dataDate: "2026-11", previousDate: "2026-10" },
  });
  expect(await readdir(join(directory.path, "data"))).toEqual(["snapshot.bin", "snapshot.bin.lock"]);
});

test("of files that replace each other quickly, the last one is used", async () => {
  await using source = await open();

  await replace(NOVEMBER);
  await replace(OCTOBER.subarray(0, 1_000));
  await replace(DECEMBER);

  await eventually(() => expect(source.status()).toEqual({ state: "ready", dataDate: "2026-12" }));
  expect(await modelFrom(source)).toBe("2026-12: 390");
});

test("a file that is replaced during the first unpacking is not reported, and the new one is used", async () => {
  const reading = log.reached("reading");
  await using source = openSnapshot(options());
  await reading;

  await replace(DECEMBER);

  await eventually(() => expect(source.status()).toEqual({ state: "ready", dataDate: "2026-12" }));
  expect(log.messages("error")).toEqual([]);
});

test("nothing is unpacked from a file that has changed since it was inspected", async () => {
  const sqlPath = join(directory.path, "vpic.sql");
  await writeFile(sqlPath, DUMP);
  const source = await inspectSource(sqlPath);
  await appendFile(sqlPath, "-- a remark\n");

  const unpacking = unpackSnapshot(
    { source, targetPath: join(directory.path, "snapshot.bin"), uniquePart: "x" },
    () => undefined,
  );

  await expect(unpacking).rejects.toThrow("it changed while it was unpacked");
  expect(await readdir(directory.path)).not.toContain("snapshot.bin");
});

test("a partial file leaves the previous data in use, is reported once, and is used when it is complete", async () => {
  await using source = await open();

  await replace(NOVEMBER.subarray(0, NOVEMBER.length / 2));
  await eventually(() => expect(log.messages("error")).toHaveLength(1));

  expect(await modelFrom(source)).toBe("2026-10: 388");
  expect(log.lines.at(-1)).toMatchObject({
    message: "snapshot cannot be used; the previous one remains in use",
    fields: { reason: "SNAPSHOT_PATH: vpic.zip: the zip file is truncated: download it again" },
  });
  await appendFile(path, NOVEMBER.subarray(NOVEMBER.length / 2));
  await eventually(() => expect(source.status()).toEqual({ state: "ready", dataDate: "2026-11" }));
  expect(log.messages("error")).toHaveLength(1);
});

test("a file that is removed leaves its data in use", async () => {
  await using source = await open();

  await rm(path);
  await eventually(() => expect(log.messages("error")).toHaveLength(1));

  expect(await modelFrom(source)).toBe("2026-10: 388");
});
