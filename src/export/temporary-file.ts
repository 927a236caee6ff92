import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";

const PREFIX = "export-";
const SUFFIX = ".parquet.tmp";
const OWNER_ONLY = 0o600;

/**
 * Makes an empty file that has no name: it is gone when its handle is closed, and also when the process is killed.
 *
 * Where an open file cannot be unlinked, the name stays until {@link removeLeftovers} of the next start.
 */
export async function openTemporaryFile(directory: string): Promise<FileHandle> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, `${PREFIX}${randomUUID()}${SUFFIX}`);
  const handle = await open(path, "wx+", OWNER_ONLY);
  await removeIfPossible(path);
  return handle;
}

/**
 * Removes names that a process killed between making a file and unlinking it left behind. It does not matter whether
 * another process is about to unlink one: it has the file open, and needs the name no more.
 */
export async function removeLeftovers(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const names = await readdir(directory);
  const leftovers = names.filter((name) => name.startsWith(PREFIX) && name.endsWith(SUFFIX));
  await Promise.all(leftovers.map((name) => removeIfPossible(join(directory, name))));
}

async function removeIfPossible(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch {
    // Some systems refuse while the file is open; the next start tries again.
  }
}
