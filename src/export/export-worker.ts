import { statfsSync } from "node:fs";
import { platform, setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import type { DatabaseLocation } from "../cache/database-url.ts";
import type { ExportedRow, ExportedRows } from "../cache/exported-rows.ts";
import { openExportedRows } from "../cache/exported-rows.ts";
import { ExportStorageError } from "./errors.ts";
import { isDiskFull } from "./temporary-file.ts";
import { VehicleWriter } from "./vehicle-writer.ts";

/** The job of the worker: its `workerData`. */
export interface WriteJob {
  readonly location: DatabaseLocation;
  /** An empty file, open for writing. The worker leaves it open. */
  readonly fd: number;
  /** The directory of the file, to check for free space. */
  readonly directory: string;
  /** The free space that must remain on the disk. */
  readonly keepFreeBytes: number;
  readonly service: string;
  readonly version: string;
}

export interface WrittenFile {
  readonly rowCount: number;
  readonly sizeBytes: number;
  /** In ms since the epoch. */
  readonly snapshotTime: number;
}

/**
 * The one message that the worker sends. It has the error's code as a member, because errors lose their code when they
 * are sent to another thread.
 *
 * `unreadable`: the cache could not be read; `code` is the database's error code. `failed`: anything else.
 */
export type WriteReport =
  | { readonly kind: "written"; readonly file: WrittenFile }
  | { readonly kind: "no-room"; readonly message: string }
  | { readonly kind: "unreadable"; readonly error: unknown; readonly code: string | undefined }
  | { readonly kind: "failed"; readonly error: unknown };

async function run(job: WriteJob): Promise<WriteReport> {
  try {
    return { kind: "written", file: await write(job) };
  } catch (error) {
    return toReport(error);
  }
}

async function write({ location, fd, directory, keepFreeBytes, service, version }: WriteJob): Promise<WrittenFile> {
  await using rows = await open(location);
  ensureRoom(directory, rows.estimatedBytes, keepFreeBytes);
  const { snapshotTime } = rows;
  const writer = new VehicleWriter(fd, { service, version, snapshotTime }, () => {
    ensureRoom(directory, 0, keepFreeBytes);
  });
  for await (const batch of batchesOf(rows)) {
    writer.add(batch);
  }
  return { ...writer.finish(), snapshotTime };
}

/** Thrown by the cache's database. The cause is its own error. */
class UnreadableError extends Error {
  constructor(cause: unknown) {
    super("the cache cannot be read", { cause });
  }
}

async function open(location: DatabaseLocation): Promise<ExportedRows> {
  try {
    return await openExportedRows(location, Date.now);
  } catch (error) {
    throw new UnreadableError(error);
  }
}

async function* batchesOf(rows: ExportedRows): AsyncGenerator<readonly ExportedRow[]> {
  try {
    yield* rows.batches();
  } catch (error) {
    throw new UnreadableError(error);
  }
}

/** @throws ExportStorageError when less than `keepFreeBytes` would remain free on the directory's disk. */
function ensureRoom(directory: string, neededBytes: number, keepFreeBytes: number): void {
  const { bavail, bsize } = statfsSync(directory);
  const freeBytes = bavail * bsize;
  if (freeBytes - neededBytes < keepFreeBytes) {
    throw new ExportStorageError(
      `the disk has ${freeBytes} bytes free; the export needs ${neededBytes} and must leave ${keepFreeBytes}`,
    );
  }
}

function toReport(thrown: unknown): WriteReport {
  const error = thrown instanceof UnreadableError ? thrown.cause : thrown;
  if (error instanceof ExportStorageError) {
    return { kind: "no-room", message: error.message };
  }
  if (isDiskFull(error)) {
    return { kind: "no-room", message: "the disk is full" };
  }
  return thrown instanceof UnreadableError
    ? { kind: "unreadable", error, code: codeOf(error) }
    : { kind: "failed", error };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** Lets lookups go first when the processors are busy. */
const NICENESS = 5;

// On Linux this sets the priority of the thread alone; elsewhere it would set that of the whole process.
if (platform() === "linux") {
  setPriority(NICENESS);
}
const job: WriteJob = workerData;
const nothingToTransfer: never[] = [];
parentPort?.postMessage(await run(job), nothingToTransfer);
