import { randomUUID } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory } from "../files/make-directory.ts";
import { ExportStorageError } from "./errors.ts";

const PREFIX = "export-";
const SUFFIX = ".parquet.tmp";
const OWNER_ONLY = 0o600;

/** The error codes of the file system, SQLite and PostgreSQL. */
const DISK_FULL = new Set(["ENOSPC", "EDQUOT", "SQLITE_FULL", "53100"]);

/** Whether an error means that a disk is full. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "string" && DISK_FULL.has(error.code);
}

/**
 * Creates an empty file without a name. It is deleted when its handle is closed or the process is killed.
 *
 * Where an open file cannot be unlinked, its name remains until {@link removeLeftovers} runs at the next start.
 *
 * @throws ExportStorageError when the disk is full.
 */
export async function openTemporaryFile(directory: string): Promise<FileHandle> {
  const path = join(directory, `${PREFIX}${randomUUID()}${SUFFIX}`);
  try {
    await makeDirectory(directory);
    const handle = await open(path, "wx+", OWNER_ONLY);
    await removeIfPossible(path);
    return handle;
  } catch (error) {
    throw isDiskFull(error) ? new ExportStorageError("the disk is full", { cause: error }) : error;
  }
}

/**
 * Removes names left behind by processes that were killed between creating a file and unlinking it. A process that is
 * about to unlink its own file is not affected: the file is open, so its name is no longer needed.
 */
export async function removeLeftovers(directory: string): Promise<void> {
  await makeDirectory(directory);
  const names = await readdir(directory);
  const leftovers = names.filter((name) => name.startsWith(PREFIX) && name.endsWith(SUFFIX));
  await Promise.all(leftovers.map((name) => removeIfPossible(join(directory, name))));
}

async function removeIfPossible(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch {
    // Some systems refuse this while the file is open. The next start tries again.
  }
}
