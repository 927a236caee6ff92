import Database from "better-sqlite3";
import { RENAMED_LABELS } from "./nhtsa-tables.ts";
import { SnapshotError } from "./snapshot-error.ts";
import {
  CREATE_TABLES,
  FILL_PATTERNS,
  FILL_SMALL_TABLES,
  SNAPSHOT_VERSION,
  SOURCE_COLUMNS,
} from "./snapshot-schema.ts";

/** Look-up tables that are too large to be kept in memory, and have tables of their own here. */
const LARGE_LOOKUPS: ReadonlySet<string> = new Set(["Make", "Manufacturer", "Model"]);

/** What is written into the snapshot about itself. */
export interface Origin {
  /** See sourceStamp. */
  readonly stamp: string;
  /** When it is built, in whole seconds since the epoch. */
  readonly builtAtSeconds: number;
}

/**
 * Makes the snapshot from NHTSA's database: the same data, arranged for decoding.
 *
 * @param sourcePath NHTSA's database as SQLite; it may be changed, so hand in a copy.
 * @param targetPath where to create the snapshot. It is not safe against crashes until this returns.
 * @throws SnapshotError when the source is no such database.
 */
export function buildSnapshot(sourcePath: string, targetPath: string, origin: Origin): void {
  using database = open(targetPath);
  database.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE");
  database.exec("PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768");
  attachSource(database, sourcePath);
  requireColumns(database);
  database.exec("BEGIN");
  database.exec(CREATE_TABLES);
  database.exec(FILL_SMALL_TABLES);
  fillLookups(database);
  renameLabels(database);
  database.exec(FILL_PATTERNS);
  writeOrigin(database, origin);
  database.exec("COMMIT");
  database.exec(`PRAGMA user_version = ${SNAPSHOT_VERSION}`);
}

function open(path: string): Database.Database & Disposable {
  const database = new Database(path);
  return Object.assign(database, { [Symbol.dispose]: () => database.close() });
}

function attachSource(database: Database.Database, path: string): void {
  try {
    database.prepare("ATTACH ? AS source").run(path);
    // Published files may be in write-ahead mode, which would need further files beside them.
    database.exec("PRAGMA source.journal_mode = OFF");
    database.prepare("SELECT count(*) FROM source.sqlite_master").get();
  } catch (cause) {
    throw new SnapshotError("database", "it is not a readable SQLite database", { cause });
  }
}

function requireColumns(database: Database.Database): void {
  const columns = database.prepare<[string], { name: string }>("SELECT name FROM pragma_table_info(?, 'source')");
  for (const [table, wanted] of Object.entries(SOURCE_COLUMNS)) {
    const found = new Set(columns.all(table).map((column) => column.name.toLowerCase()));
    if (found.size === 0) {
      throw new SnapshotError("database", `it is not a vPIC database: there is no table ${table}`);
    }
    const missing = wanted.filter((column) => !found.has(column.toLowerCase()));
    if (missing.length > 0) {
      throw new SnapshotError(
        "database",
        `it is not a vPIC database: table ${table} has no column ${missing.join(", ")}`,
      );
    }
  }
}

function fillLookups(database: Database.Database): void {
  const tables = database
    .prepare<[], { name: string }>(`
      SELECT DISTINCT lookup_table AS name FROM element
      JOIN source.sqlite_master ON type = 'table' AND lower(name) = lower(lookup_table)`)
    .all();
  for (const { name } of tables) {
    if (!LARGE_LOOKUPS.has(name)) {
      const quoted = `"${name.replaceAll('"', '""')}"`;
      database
        .prepare(`INSERT INTO lookup SELECT ?, CAST(Id AS TEXT), Name FROM source.${quoted} WHERE Name IS NOT NULL`)
        .run(name);
    }
  }
}

/** Writes today's names. In a newer database they stand already, and nothing is found to change. */
function renameLabels(database: Database.Database): void {
  const rename = database.prepare("UPDATE lookup SET name = ? WHERE table_name = ? AND name = ?");
  const renameType = database.prepare("UPDATE wmi SET vehicle_type = ? WHERE vehicle_type = ?");
  for (const [table, names] of Object.entries(RENAMED_LABELS)) {
    for (const [old, current] of Object.entries(names)) {
      rename.run(current, table, old);
      if (table === "VehicleType") {
        renameType.run(current, old);
      }
    }
  }
}

function writeOrigin(database: Database.Database, origin: Origin): void {
  const newest = database
    .prepare<[], { date: string | null }>("SELECT substr(max(changed_on), 1, 10) AS date FROM pattern")
    .get();
  if (newest?.date === undefined || newest.date === null) {
    throw new SnapshotError("database", "it has no patterns to decode with");
  }
  const insert = database.prepare("INSERT INTO meta VALUES (?, ?)");
  insert.run("stamp", origin.stamp);
  insert.run("built_at", String(origin.builtAtSeconds));
  insert.run("data_date", newest.date);
}
