/** The cause of a fault: the database from which the snapshot is built, or the directory where it is stored. */
export type Culprit = "database" | "data directory";

type Reason = readonly [culprit: Culprit, message: string];

const DISK_FULL: Reason = ["data directory", "the disk is full"];
const NOT_A_DIRECTORY: Reason = ["data directory", "it is not a directory"];
const NOT_WRITABLE: Reason = ["data directory", "it cannot be written to"];
const DAMAGED: Reason = ["database", "it is damaged"];

/** By the error codes of Node and SQLite, whose own messages contain paths and statements. */
const REASONS: Readonly<Record<string, Reason>> = {
  EACCES: NOT_WRITABLE,
  EDQUOT: DISK_FULL,
  EEXIST: NOT_A_DIRECTORY,
  ENOSPC: DISK_FULL,
  ENOTDIR: NOT_A_DIRECTORY,
  EPERM: NOT_WRITABLE,
  EROFS: NOT_WRITABLE,
  SQLITE_CANTOPEN: NOT_WRITABLE,
  SQLITE_CORRUPT: DAMAGED,
  SQLITE_FULL: DISK_FULL,
  SQLITE_NOTADB: DAMAGED,
  SQLITE_READONLY: NOT_WRITABLE,
  Z_BUF_ERROR: ["database", "its compressed data is truncated"],
  Z_DATA_ERROR: DAMAGED,
};

/** The snapshot cannot be unpacked. The message is for the log: it says why and, if known, what to do. */
export class SnapshotError extends Error {
  override readonly name = "SnapshotError";
  readonly culprit: Culprit;

  constructor(culprit: Culprit, message: string, options?: ErrorOptions) {
    super(message, options);
    this.culprit = culprit;
  }
}

/** The file was replaced or written to while it was unpacked. It is unpacked again once it has stopped changing. */
export class SourceChangedError extends SnapshotError {
  constructor(options?: ErrorOptions) {
    super("database", "it changed while it was unpacked", options);
  }
}

/** Converts an error during unpacking into one with a plain message. */
export function toSnapshotError(error: unknown): SnapshotError {
  if (error instanceof SnapshotError) {
    return error;
  }
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  // SQLite's extended codes, such as SQLITE_IOERR_WRITE, begin with the plain one.
  const plainCode = code.split("_").slice(0, 2).join("_");
  const [culprit, message] = REASONS[code] ?? REASONS[plainCode] ?? ["data directory", "unpacking failed"];
  return new SnapshotError(culprit, message, { cause: error });
}
