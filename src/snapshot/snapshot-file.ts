import { statSync } from "node:fs";
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

const CACHE_KIB = 16_384;

/**
 * Opens the unpacked snapshot if it is whole and made from the source of this stamp. SQLite looks at the file's size
 * and header; besides, the file's time must be the one that its own record says. What all that misses shows when a
 * page is read.
 */
export function openSnapshotFile(path: string, stamp: string): Inspection {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) {
    return { state: "absent" };
  }
  let database: Database.Database | undefined;
  try {
    database = new Database(path, { readonly: true, fileMustExist: true });
    const inspection = inspect(database, stamp, Math.floor(stats.mtimeMs / 1000));
    if (inspection.state !== "sound") {
      database.close();
    }
    return inspection;
  } catch {
    database?.close();
    return { state: "damaged" };
  }
}

function inspect(database: Database.Database, stamp: string, modifiedAtSeconds: number): Inspection {
  // One reader for the whole life: no locking for every statement. No memory map: a file cut short would end the
  // process with SIGBUS where reading it is only an error.
  database.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA mmap_size = 0; PRAGMA cache_size = -${CACHE_KIB}`);
  database.exec("PRAGMA trusted_schema = OFF");
  if (database.pragma("user_version", { simple: true }) !== SNAPSHOT_VERSION) {
    return { state: "outdated" };
  }
  const rows = database.prepare<[], { key: string; value: string }>("SELECT key, value FROM meta").all();
  const meta = new Map(rows.map((row) => [row.key, row.value]));
  if (meta.get("stamp") !== stamp) {
    return { state: "outdated" };
  }
  return meta.get("built_at") === String(modifiedAtSeconds)
    ? { state: "sound", database, data: new VpicData(database) }
    : { state: "damaged" };
}
