import { SnapshotError } from "./snapshot-error.ts";

/** By the code of an error of Node or SQLite, without SQLite's details. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: "the data directory cannot be written to",
  EDQUOT: "the disk is full",
  EEXIST: "the data directory is not a directory",
  ENOSPC: "the disk is full",
  ENOTDIR: "the data directory is not a directory",
  EPERM: "the data directory cannot be written to",
  EROFS: "the data directory cannot be written to",
  SQLITE_CANTOPEN: "the data directory cannot be written to",
  SQLITE_CORRUPT: "the database is damaged",
  SQLITE_FULL: "the disk is full",
  SQLITE_NOTADB: "the database is damaged",
  SQLITE_READONLY: "the data directory cannot be written to",
  Z_BUF_ERROR: "the compressed database ends too early",
  Z_DATA_ERROR: "the compressed database is damaged",
};

/** Why unpacking failed, in words for the log. */
export function explainUnpackFailure(error: unknown): string {
  if (error instanceof SnapshotError) {
    return error.message;
  }
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  const primaryCode = code.split("_").slice(0, 2).join("_");
  return REASONS[code] ?? REASONS[primaryCode] ?? (error instanceof Error ? error.message : String(error));
}
