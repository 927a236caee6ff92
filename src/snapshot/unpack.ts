import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createReadStream, createWriteStream, type ReadStream } from "node:fs";
import { copyFile, open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import Database from "better-sqlite3";
import { makeDirectory } from "../files/make-directory.ts";
import { buildSnapshot } from "./build-snapshot.ts";
import { SnapshotError, SourceChangedError, type Culprit } from "./snapshot-error.ts";
import { openSnapshotFile, writeSnapshotFile } from "./snapshot-file.ts";
import { hasChanged, type SourceFile } from "./source-file.ts";
import { importSqlDump } from "./sql-dump.ts";
import { readZipMember } from "./zip-member.ts";

/** What to unpack, and where. */
export interface UnpackJob {
  readonly source: SourceFile;
  /** The unpacked snapshot. */
  readonly targetPath: string;
  /** A part for file names that no other process uses. */
  readonly uniquePart: string;
}

/**
 * The current step: waiting for another process, decompressing the database or reading NHTSA's dump, converting it for
 * decoding.
 */
type UnpackStep = "waiting" | "decompressing" | "reading" | "arranging" | "done";

/** Called at each step; while reading, also with the percentage read. */
export type ReportStep = (step: UnpackStep, percent?: number) => void;

/** A message from the unpacking process. */
export type UnpackMessage =
  | { readonly kind: "step"; readonly step: UnpackStep; readonly percent: number | undefined }
  | { readonly kind: "finished" }
  | { readonly kind: "failed"; readonly culprit: Culprit; readonly reason: string };

const PROCESS = new URL("./unpack-process.ts", import.meta.url);
/** More frequent garbage collection takes a third less memory and a quarter more time. */
const FLAGS_FOR_DUMPS = ["--max-semi-space-size=4", "--heap-growing-percent=15"];
const TEMPORARY_MARK = ".part-";
/** The unpacked file of version 0.1.0 and its temporary files. */
const OLD_TARGET = /^snapshot\.db($|-|\.part-|\.lock)/;
/** For a while, the decompressed database and the snapshot built from it are both on the disk. */
const DISK_FACTOR = 1.4;
/** The same for a dump, whose other tables are not copied. */
const DUMP_DISK_FACTOR = 0.8;
const CHUNK_BYTES = 1 << 20;
const WAIT_PER_TRY_MS = 100;
const MAX_TRIES = 600;

/**
 * Unpacks in a separate process. Unpacking takes a second or two of one core, and much memory that a thread would not
 * return to the system.
 *
 * @param signal stops the work and removes its temporary files.
 * @throws SnapshotError that says why it failed; the reason of `signal` when aborted.
 */
export async function unpackInProcess(job: UnpackJob, report: ReportStep, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const child = startUnpackProcess(job);
  const exited = once(child, "exit");
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  child.on("message", (message: UnpackMessage) => {
    if (message.kind === "step") {
      report(message.step, message.percent);
    } else if (message.kind === "finished") {
      resolve();
    } else {
      reject(new SnapshotError(message.culprit, message.reason));
    }
  });
  child.once("exit", () => reject(new SnapshotError("data directory", "the process that unpacks ended early")));
  child.once("error", (cause) =>
    reject(new SnapshotError("data directory", "the process that unpacks failed", { cause })),
  );
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    child.kill("SIGKILL");
    await exited.catch(() => undefined);
    await removeTemporaries(job);
  }
}

/** Starts the process. It sends each {@link UnpackMessage}. Kill it after the last one. */
export function startUnpackProcess(job: UnpackJob): ChildProcess {
  // Options of this process, such as `--eval`, may not be valid for a file.
  const execArgv = job.source.dumpName === undefined ? [] : FLAGS_FOR_DUMPS;
  return fork(PROCESS, [JSON.stringify(job)], { execArgv });
}

/**
 * Unpacks the snapshot, unless another process does so first. The target is replaced in one step once everything is on
 * the disk. Removes all temporary files, including those of processes that crashed.
 *
 * @throws SnapshotError when the source cannot be used or the disk is too small.
 */
export async function unpackSnapshot(job: UnpackJob, report: ReportStep): Promise<void> {
  const { source, targetPath } = job;
  const directory = dirname(targetPath);
  await makeDirectory(directory);
  if (await isSameFile(source.path, targetPath)) {
    throw new SnapshotError("database", "its path is reserved for the unpacked snapshot; move or rename it");
  }
  using lock = await acquireLock(targetPath, MAX_TRIES, () => report("waiting"));
  if ((await openSnapshotFile(targetPath, source.stamp)).state === "sound") {
    return;
  }
  if (lock !== undefined) {
    await removeAll(await findLeftovers(targetPath, source.path));
  }
  await requireSpace(
    directory,
    source.unpackedBytes * (source.dumpName === undefined ? DISK_FACTOR : DUMP_DISK_FACTOR),
  );
  const { unpackedPath, sourceCopyPath } = temporariesOf(job);
  try {
    await copySource(source, sourceCopyPath, report);
    if (await hasChanged(source)) {
      throw new SourceChangedError();
    }
    report("arranging");
    await writeSnapshotFile(unpackedPath, source.stamp, (addPatterns) => {
      const content = buildSnapshot(sourceCopyPath, addPatterns);
      return { ...content, dataDate: source.month ?? content.dataDate };
    });
    await rm(sourceCopyPath);
    await rename(unpackedPath, targetPath);
    await flush(directory);
    report("done");
  } finally {
    await removeTemporaries(job);
  }
}

/**
 * Removes files next to the snapshot that crashed processes or older versions have left. Does nothing while another
 * process unpacks.
 */
export async function removeLeftovers(targetPath: string, sourcePath: string): Promise<void> {
  if ((await findLeftovers(targetPath, sourcePath)).length === 0) {
    return;
  }
  using lock = await acquireLock(targetPath, 1);
  if (lock !== undefined) {
    await removeAll(await findLeftovers(targetPath, sourcePath));
  }
}

/** Only the holder of the lock unpacks, so any temporary files that it finds were left by a crash. */
async function findLeftovers(targetPath: string, sourcePath: string): Promise<string[]> {
  const directory = dirname(targetPath);
  const leftovers: string[] = [];
  for (const entry of await readdir(directory)) {
    const path = join(directory, entry);
    const isLeftover = entry.startsWith(basename(targetPath) + TEMPORARY_MARK) || OLD_TARGET.test(entry);
    // The operator may have put the source database there, under a name that version 0.1.0 used.
    if (isLeftover && !(await isSameFile(path, sourcePath))) {
      leftovers.push(path);
    }
  }
  return leftovers;
}

async function isSameFile(path: string, otherPath: string): Promise<boolean> {
  const [stats, others] = await Promise.all([path, otherPath].map((each) => stat(each).catch(() => undefined)));
  return stats !== undefined && stats.dev === others?.dev && stats.ino === others.ino;
}

async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await rm(path, { force: true });
  }
}

/** Removes the temporary files of one unpacking, as far as possible. */
async function removeTemporaries(job: UnpackJob): Promise<void> {
  const { unpackedPath, sourceCopyPath } = temporariesOf(job);
  for (const path of [unpackedPath, ...["", "-journal", "-wal", "-shm"].map((suffix) => sourceCopyPath + suffix)]) {
    await rm(path, { force: true }).catch(() => undefined);
  }
}

function temporariesOf({ targetPath, uniquePart }: UnpackJob): { unpackedPath: string; sourceCopyPath: string } {
  const unpackedPath = `${targetPath}${TEMPORARY_MARK}${uniquePart}`;
  return { unpackedPath, sourceCopyPath: `${unpackedPath}-source` };
}

/**
 * Makes processes that start together unpack one after the other, so that all but the first find the work done. Uses
 * SQLite's file lock, which is released however the process ends.
 *
 * @param maxTries how many attempts to make, each waiting a tenth of a second.
 * @param onWait called once when another process holds the lock.
 * @returns undefined when another process still holds the lock: unpacking twice is wasteful but not wrong.
 */
async function acquireLock(targetPath: string, maxTries: number, onWait?: () => void): Promise<Disposable | undefined> {
  const database = new Database(`${targetPath}.lock`, { timeout: WAIT_PER_TRY_MS });
  for (let tries = 0; tries < maxTries; tries++) {
    try {
      // A journal file would remain after the process is killed.
      database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
      return { [Symbol.dispose]: () => database.close() };
    } catch (error) {
      if (!(error instanceof Database.SqliteError) || error.code !== "SQLITE_BUSY") {
        database.close();
        throw error;
      }
      if (tries === 0) {
        onWait?.();
      }
      // Lets the process stop between attempts.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  database.close();
  return undefined;
}

async function requireSpace(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize < bytes) {
    throw new SnapshotError(
      "data directory",
      `the disk is full: unpacking needs ${toMegabytes(bytes)} MB, ${toMegabytes(bavail * bsize)} MB are free`,
    );
  }
}

/** Writes NHTSA's database as SQLite to the path. */
async function copySource(source: SourceFile, path: string, report: ReportStep): Promise<void> {
  const { dumpName, member, unpackedBytes } = source;
  if (dumpName !== undefined) {
    report("reading", 0);
    const chunks = member === undefined ? readFileChunks(source.path) : readZipMember(source.path, member);
    await importSqlDump({ name: dumpName, bytes: unpackedBytes, chunks }, path, (percent) =>
      report("reading", percent),
    );
    return;
  }
  report("decompressing");
  if (source.kind === "SQLite") {
    await copyFile(source.path, path);
    return;
  }
  await pipeline(readFileChunks(source.path), createGunzip({ chunkSize: CHUNK_BYTES }), createWriteStream(path));
}

function readFileChunks(path: string): ReadStream {
  return createReadStream(path, { highWaterMark: CHUNK_BYTES });
}

async function flush(path: string): Promise<void> {
  await using file = await open(path, "r");
  await file.sync();
}

function toMegabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}
