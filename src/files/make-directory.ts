import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { systemCodeOf } from "./error-code.ts";

/**
 * Creates a directory, and its parents if they are missing. Node's option `recursive` does the same, but tries for ever
 * in a directory where nothing can be created, such as /proc.
 *
 * @throws the file system's error.
 */
export async function makeDirectory(path: string): Promise<void> {
  const error = await makeOne(path);
  if (error === undefined) {
    return;
  }
  if (systemCodeOf(error) !== "ENOENT") {
    throw error;
  }
  await makeDirectory(dirname(path));
  const laterError = await makeOne(path);
  if (laterError !== undefined) {
    throw laterError;
  }
}

/** Returns the error when there is no directory afterwards. */
async function makeOne(path: string): Promise<unknown> {
  try {
    await mkdir(path);
    return undefined;
  } catch (error) {
    return (await isDirectory(path)) ? undefined : error;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}
