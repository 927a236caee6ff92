import Database from "better-sqlite3";

import { FirstPerVin } from "./first-per-vin.ts";
import { VEHICLE_ROW_COLUMNS } from "./vehicle-rows-columns.ts";
import type { VehicleRow, VehicleRows } from "./vehicle-rows.ts";

const ROWS_PER_BATCH = 1024;
/** This runs in a worker thread, where waiting for a lock blocks nobody. */
const BUSY_TIMEOUT_MS = 5_000;

/** See openVehicleRows. The key of an entry without a hint has 0 for it, and so comes first of its VIN. */
export async function openSqliteVehicleRows(path: string, now: () => number): Promise<VehicleRows> {
  const database = new Database(path, { fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
  try {
    database.pragma("trusted_schema = OFF");
    // Moved into the database now, what the log holds so far is not pinned by the transaction that begins.
    moveLogIntoDatabase(database);
    database.pragma("query_only = ON");
    database.exec("begin");
    const snapshotTime = now();
    // A transaction sees the moment of its first read.
    const estimatedBytes = readSizeBytes(database);
    return {
      snapshotTime,
      estimatedBytes,
      batches: () => readBatches(database),
      [Symbol.asyncDispose]: async () => {
        try {
          database.exec("rollback");
          database.pragma("query_only = OFF");
          // Left undone, it would fall to the next writer, on the main thread.
          moveLogIntoDatabase(database);
        } finally {
          database.close();
        }
      },
    };
  } catch (error) {
    database.close();
    throw error;
  }
}

// Pages of a range of keys rather than one open cursor: fewer calls cross into the library.
async function* readBatches(database: Database.Database): AsyncGenerator<readonly VehicleRow[]> {
  const page = database
    .prepare<[string, number], VehicleRow>(
      `select ${VEHICLE_ROW_COLUMNS} from vehicles where vin > ? and is_negative = 0
       order by vin, model_year_hint limit ?`,
    )
    .raw(true);
  const firstPerVin = new FirstPerVin();
  let lastVin = "";
  for (;;) {
    const rows = page.all(lastVin, ROWS_PER_BATCH);
    const last = rows.at(-1);
    if (last === undefined) {
      return;
    }
    // The next page begins after this VIN, so that its further entries, which are not wanted, may be cut off.
    lastVin = last[0];
    yield firstPerVin.take(rows);
  }
}

function readSizeBytes(database: Database.Database): number {
  return readNumber(database, "page_count") * readNumber(database, "page_size");
}

function readNumber(database: Database.Database, pragma: string): number {
  return Number(database.pragma(pragma, { simple: true }));
}

/** Blocks nobody: readers and writers go on. When all is moved, the next write begins the log anew. */
function moveLogIntoDatabase(database: Database.Database): void {
  database.pragma("wal_checkpoint(PASSIVE)");
}
