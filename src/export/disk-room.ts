import { statfsSync } from "node:fs";

import { ExportStorageError } from "./errors.ts";

/** Throws ExportStorageError when a directory's file system would be left with less than `keepFreeBytes`. */
export function ensureRoom(directory: string, neededBytes: number, keepFreeBytes: number): void {
  const { bavail, bsize } = statfsSync(directory);
  const freeBytes = bavail * bsize;
  if (freeBytes - neededBytes < keepFreeBytes) {
    throw new ExportStorageError(
      `the disk has ${freeBytes} bytes free; the export needs ${neededBytes} and must leave ${keepFreeBytes}`,
    );
  }
}

/** Whether an error of the file system means that there is no room left. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}
