/**
 * Measures a file for `SNAPSHOT_PATH` with several copies of the data, unzipped and zipped: the time and the peak
 * memory of the process that unpacks it, the size of the result on the disk, and decodes with it. Options: `--times 5`,
 * the number of copies; `--patterns 8370805`, the maximum number of patterns; `--bytes 1000000000`, the size of the
 * `.sql`.
 */
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { createGunzip } from "node:zlib";
import Database from "better-sqlite3";
import { openSnapshot } from "../../src/snapshot/snapshot-source.ts";
import { bundledSourcePath, inspectSource } from "../../src/snapshot/source-file.ts";
import { startUnpackProcess, type UnpackMessage } from "../../src/snapshot/unpack.ts";
import { writeBigDump, zipBigDump } from "./big-dump.ts";
import { cpuMsOf, rssMbOf } from "./process-usage.ts";
import { measureDecoding, SILENT, timeFirstDecode } from "./snapshot.ts";

const NAME = "vPICList_lite_2026_10.sql";
/** NHTSA's number in August 2026. */
const PATTERNS = 1_674_161;

const { values } = parseArgs({
  options: { times: { type: "string" }, patterns: { type: "string" }, bytes: { type: "string" } },
});
const times = Number(values.times ?? 5);
const patterns = Number(values.patterns ?? times * PATTERNS);
const bytes = Number(values.bytes ?? 1e9);

const directory = await mkdtemp(join(tmpdir(), "monthly-file-bench-"));
try {
  const sqlPath = join(directory, NAME);
  const zipPath = join(directory, "vPICList_lite_2026_10.plain.zip");
  await writeFiles(sqlPath, zipPath);
  const [sql, zip] = await Promise.all([stat(sqlPath), stat(zipPath)]);
  console.log(`${patterns} patterns; .sql ${toMb(sql.size)} MB, zipped ${toMb(zip.size)} MB`);
  for (const path of [sqlPath, zipPath]) {
    await measureUnpacking(path, join(directory, "data"));
  }
  const options = { dataDir: join(directory, "data"), snapshotPath: zipPath, logger: SILENT };
  const rssBefore = await rssMbOf(process.pid);
  await using source = openSnapshot(options);
  console.log(`open and first decode: ${await timeFirstDecode(source)} ms`);
  console.log(`memory of the service for it: ${Math.round((await rssMbOf(process.pid)) - rssBefore)} MB`);
  await measureDecoding(source, console.log);
} finally {
  await rm(directory, { recursive: true, force: true });
}

async function writeFiles(sqlPath: string, zipPath: string): Promise<void> {
  const databasePath = join(directory, "embedded.db");
  await pipeline(createReadStream(bundledSourcePath()), createGunzip(), createWriteStream(databasePath));
  const embedded = new Database(databasePath);
  await writeBigDump(sqlPath, embedded, { times, patterns, bytes });
  embedded.close();
  await zipBigDump(sqlPath, NAME, zipPath);
}

/** Unpacks in a process like the service's, and prints its time and memory. */
async function measureUnpacking(path: string, dataDir: string): Promise<void> {
  const source = await inspectSource(path);
  const targetPath = join(dataDir, "snapshot.bin");
  const startedAt = performance.now();
  const child = startUnpackProcess({ source, targetPath, uniquePart: "bench" });
  const exited = once(child, "exit");
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.on("message", (message: UnpackMessage) => {
    if (message.kind === "failed") {
      reject(new Error(message.reason));
    } else if (message.kind === "finished") {
      resolve();
    }
  });
  await promise;
  const pid = child.pid ?? 0;
  const seconds = ((performance.now() - startedAt) / 1e3).toFixed(1);
  const cpuSeconds = ((await cpuMsOf(pid)) / 1e3).toFixed(1);
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const peakMb = toMb(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) * 1_024);
  child.kill("SIGKILL");
  await exited;
  const { size } = await stat(targetPath);
  console.log(
    `${source.kind}: unpacked in ${seconds} s (CPU ${cpuSeconds} s), peak memory ${peakMb} MB (at most 400), ` +
      `result ${toMb(size)} MB (at most 400)`,
  );
}

function toMb(size: number): number {
  return Math.round(size / 1e6);
}
