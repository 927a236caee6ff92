import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import Database from "better-sqlite3";
import { SNAPSHOT_VERSION } from "./snapshot-schema.ts";
import { VpicData } from "./vpic-data.ts";

/** What is found where the unpacked snapshot should be. */
export type Inspection = OpenedSnapshot | { readonly state: "absent" | "outdated" | "damaged" };

/** A snapshot that is open; whoever opened it closes the database. */
export interface OpenedSnapshot {
  readonly state: "sound";
  readonly database: Database.Database;
  readonly data: VpicData;
}

const HEADER_BYTES = 100;
const MAGIC = "SQLite format 3\0";
const CACHE_KIB = 16_384;

/**
 * Opens the unpacked snapshot if it is whole and made from the source of this stamp. Looks at the file's size, header
 * and time and at its own record, not at every page: what that misses shows when a page is read.
 */
export function openSnapshotFile(path: string, stamp: string): Inspection {
  const file = readHeader(path);
  if (file === undefined) {
    return { state: "absent" };
  }
  if (!isWhole(file)) {
    return { state: "damaged" };
  }
  if (file.header.readUInt32BE(60) !== SNAPSHOT_VERSION) {
    return { state: "outdated" };
  }
  return openWhole(path, stamp, file.modifiedAtSeconds);
}

interface Header {
  readonly header: Buffer;
  readonly size: number;
  readonly modifiedAtSeconds: number;
}

function readHeader(path: string): Header | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch {
    return undefined;
  }
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    const { size, mtimeMs } = fstatSync(descriptor);
    readSync(descriptor, header, 0, HEADER_BYTES, 0);
    return { header, size, modifiedAtSeconds: Math.floor(mtimeMs / 1000) };
  } catch {
    // A directory, or a disk that cannot be read: neither is a sound snapshot.
    return { header: Buffer.alloc(HEADER_BYTES), size: 0, modifiedAtSeconds: 0 };
  } finally {
    closeSync(descriptor);
  }
}

function isWhole({ header, size }: Header): boolean {
  const pageSize = header.readUInt16BE(16);
  const pageCount = header.readUInt32BE(28);
  return header.toString("latin1", 0, MAGIC.length) === MAGIC && size > 0 && pageSize * pageCount === size;
}

function openWhole(path: string, stamp: string, modifiedAtSeconds: number): Inspection {
  let database: Database.Database | undefined;
  try {
    database = new Database(path, { readonly: true, fileMustExist: true });
    // One reader for the whole life: no locking for every statement. No memory map: a file cut short would end the
    // process with SIGBUS where reading it is only an error.
    database.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA mmap_size = 0; PRAGMA cache_size = -${CACHE_KIB}`);
    database.exec("PRAGMA trusted_schema = OFF");
    const rows = database.prepare<[], { key: string; value: string }>("SELECT key, value FROM meta").all();
    const meta = new Map(rows.map((row) => [row.key, row.value]));
    if (meta.get("stamp") === stamp && meta.get("built_at") === String(modifiedAtSeconds)) {
      return { state: "sound", database, data: new VpicData(database) };
    }
    database.close();
    return { state: meta.get("stamp") === stamp ? "damaged" : "outdated" };
  } catch {
    database?.close();
    return { state: "damaged" };
  }
}
