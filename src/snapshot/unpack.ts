import { createReadStream, createWriteStream } from "node:fs";
import { copyFile, mkdir, open, readdir, rename, rm, statfs, utimes } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { buildSnapshot } from "./build-snapshot.ts";
import { SnapshotError } from "./snapshot-error.ts";
import { openSnapshotFile } from "./snapshot-file.ts";
import type { SourceFile } from "./source-file.ts";
import { acquireUnpackLock } from "./unpack-lock.ts";

/** What to unpack, and where to. */
export interface UnpackJob {
  readonly source: SourceFile;
  /** The unpacked snapshot. */
  readonly targetPath: string;
  /** Begins the names of all files in progress, and differs between processes. See {@link temporaryPathFor}. */
  readonly temporaryPath: string;
  /** The time, in ms since the epoch. */
  readonly nowMs: number;
}

/** How far unpacking has come: another process is waited for, the database is decompressed, arranged for decoding. */
export type UnpackStep = "waiting" | "decompressing" | "arranging" | "done";

const TEMPORARY_MARK = ".part-";
/** The decompressed database and the snapshot made from it, which is smaller, lie on the disk together for a while. */
const DISK_FACTOR = 1.8;
const CHUNK_BYTES = 1 << 20;

/** A name for files in progress that no other process uses. */
export function temporaryPathFor(targetPath: string, uniquePart: string): string {
  return `${targetPath}${TEMPORARY_MARK}${uniquePart}`;
}

/**
 * Unpacks the snapshot, unless another process has done so meanwhile. The target is replaced in one step when all is
 * on the disk; whatever happens, nothing in progress is left behind, nor of processes that crashed.
 *
 * @throws SnapshotError when the source is unfit or the disk too small.
 */
export async function unpackSnapshot(job: UnpackJob, report: (step: UnpackStep) => void): Promise<void> {
  const { source, targetPath, temporaryPath } = job;
  const directory = dirname(targetPath);
  await mkdir(directory, { recursive: true });
  using lock = await acquireUnpackLock(`${targetPath}.lock`, () => report("waiting"));
  if (isDoneByAnother(job)) {
    return;
  }
  if (lock.isHeld) {
    await removeLeftovers(targetPath);
  }
  await requireSpace(directory, source.unpackedBytes * DISK_FACTOR);
  const sourceCopyPath = `${temporaryPath}-source`;
  try {
    report("decompressing");
    await copySource(source, sourceCopyPath);
    report("arranging");
    const builtAtSeconds = Math.floor(job.nowMs / 1000);
    buildSnapshot(sourceCopyPath, temporaryPath, { stamp: source.stamp, builtAtSeconds });
    await flush(temporaryPath);
    // Whoever writes to the file later changes its time, and shows it by that.
    await utimes(temporaryPath, builtAtSeconds, builtAtSeconds);
    await rename(temporaryPath, targetPath);
    await flush(directory);
    report("done");
  } finally {
    await removeTemporaries(temporaryPath);
  }
}

/** Removes the files in progress of one unpacking, as far as that is possible. */
export async function removeTemporaries(temporaryPath: string): Promise<void> {
  for (const suffix of ["", "-journal", "-source", "-source-journal", "-source-wal", "-source-shm"]) {
    await rm(temporaryPath + suffix, { force: true }).catch(() => undefined);
  }
}

function isDoneByAnother({ targetPath, source }: UnpackJob): boolean {
  const inspection = openSnapshotFile(targetPath, source.stamp);
  if (inspection.state !== "sound") {
    return false;
  }
  inspection.database.close();
  return true;
}

/** Only the holder of the lock unpacks, so whatever is in progress was left by a crash. */
async function removeLeftovers(targetPath: string): Promise<void> {
  const directory = dirname(targetPath);
  const name = basename(targetPath);
  for (const entry of await readdir(directory)) {
    const isLeftover =
      entry.startsWith(name + TEMPORARY_MARK) || entry === `${name}-journal` || entry === `${name}-wal`;
    if (isLeftover) {
      await rm(join(directory, entry), { force: true });
    }
  }
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

async function copySource(source: SourceFile, path: string): Promise<void> {
  if (!source.isGzipped) {
    await copyFile(source.path, path);
    return;
  }
  await pipeline(
    createReadStream(source.path, { highWaterMark: CHUNK_BYTES }),
    createGunzip({ chunkSize: CHUNK_BYTES }),
    createWriteStream(path),
  );
}

async function flush(path: string): Promise<void> {
  await using file = await open(path, "r");
  await file.sync();
}

function toMegabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}
