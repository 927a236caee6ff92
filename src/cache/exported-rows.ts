import Database from "better-sqlite3";
import type { DatabaseLocation } from "./database-url.ts";
import type { VehicleColumn } from "./vehicle-entity.ts";

/** One vehicle of the cache, as its row stands; the codes of the verdict are joined by commas. */
export type ExportedRow = readonly [
  vin: string,
  make: string,
  model: string,
  modelYear: string,
  bodyClass: string,
  source: string,
  decodedAtMs: number,
  verdictCodes: string,
  /** A JSON object of strings. */
  attributes: string,
];

/**
 * Every vehicle of the cache at one moment. While it is open the database keeps that moment alive (SQLite cannot reuse
 * its write-ahead log), so read fast and dispose.
 */
export interface ExportedRows extends AsyncDisposable {
  /** The moment that the rows show, in ms since the epoch. */
  readonly snapshotTime: number;
  /** What the table takes in the database, about: an upper bound for most ways to write the rows down. */
  readonly estimatedBytes: number;
  /**
   * The vehicles in VIN order, each VIN once: the entry without a year hint, else that of the smallest hint. Entries of
   * VINs that could not be decoded are left out, and so are damaged ones. To be called once.
   */
  batches(): AsyncIterable<readonly ExportedRow[]>;
}

// The names are checked against the entity by their type: loading MikroORM takes longer than a small export.
const COLUMNS = [
  "vin",
  "make",
  "model",
  "model_year",
  "body_class",
  "source",
  "decoded_at",
  "verdict_codes",
  "attributes",
] as const satisfies readonly VehicleColumn[];
const DECODED_AT = COLUMNS.indexOf("decoded_at");

/** Entries without a hint have 0 for it, and so come first of their VIN. */
const SELECT = `select ${COLUMNS.join(", ")} from vehicles where is_negative = 0`;
const ROWS_PER_BATCH = 1024;

/** In SQLite. This runs in a worker thread, where waiting for a lock blocks nobody. */
const BUSY_TIMEOUT_MS = 5_000;
/** In PostgreSQL. The first fetch may have to sort; the limits for lookups are far too short for it. */
const POSTGRES_LIMITS = {
  connectionTimeoutMillis: 5_000,
  query_timeout: 130_000,
};
const SERVER_LIMIT_MS = 120_000;

/**
 * Opens a connection of its own and begins one read transaction on it. Meant for a worker thread: with SQLite, reading
 * blocks the thread.
 *
 * @param now the time in ms since the epoch.
 * @throws the database's own errors.
 */
export async function openExportedRows(location: DatabaseLocation, now: () => number): Promise<ExportedRows> {
  return location.kind === "sqlite" ? openSqliteRows(location.path, now) : openPostgresRows(location.url, now);
}

async function openSqliteRows(path: string, now: () => number): Promise<ExportedRows> {
  const database = new Database(path, { fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
  try {
    database.pragma("trusted_schema = OFF");
    // Moved into the database now, what the log holds so far is not pinned by the transaction that begins.
    moveLogIntoDatabase(database);
    database.pragma("query_only = ON");
    database.exec("begin");
    const snapshotTime = now();
    // A transaction sees the moment of its first read.
    const estimatedBytes = readNumber(database, "page_count") * readNumber(database, "page_size");
    return {
      snapshotTime,
      estimatedBytes,
      batches: () => readSqlite(database),
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
async function* readSqlite(database: Database.Database): AsyncGenerator<readonly ExportedRow[]> {
  const page = database
    .prepare<[string, number], unknown[]>(`${SELECT} and vin > ? order by vin, model_year_hint limit ?`)
    .raw(true);
  const firstPerVin = new FirstPerVin();
  let lastVin = "";
  for (;;) {
    const rows = page.all(lastVin, ROWS_PER_BATCH);
    if (rows.length === 0) {
      return;
    }
    // The next page begins after this VIN, so that its further entries, which are not wanted, may be cut off.
    lastVin = String(rows.at(-1)?.[0]);
    yield firstPerVin.take(rows);
  }
}

/** Does not block readers or writers. When all is moved, the next write starts the log again. */
function moveLogIntoDatabase(database: Database.Database): void {
  database.pragma("wal_checkpoint(PASSIVE)");
}

function readNumber(database: Database.Database, pragma: string): number {
  return Number(database.pragma(pragma, { simple: true }));
}

async function openPostgresRows(url: string, now: () => number): Promise<ExportedRows> {
  const { MikroORM } = await import("@mikro-orm/postgresql");
  await using opened = new AsyncDisposableStack();
  const orm = await MikroORM.init({
    entities: [],
    discovery: { warnWhenNoEntities: false },
    dbName: decodeURIComponent(new URL(url).pathname.slice(1)) || "postgres",
    ensureDatabase: false,
    driverOptions: { connectionString: url, max: 1, ...POSTGRES_LIMITS },
  });
  opened.defer(() => orm.close());
  const pool: PostgresPool = await orm.em.getConnection().getNativeClient();
  const session = await pool.connect();
  // The session is of no further use, and closing it ends its transaction.
  opened.defer(() => session.release(true));
  await session.query({
    text: `begin isolation level repeatable read read only; set local statement_timeout = ${SERVER_LIMIT_MS}`,
  });
  const snapshotTime = now();
  // A transaction sees the moment of its first query.
  const { rows } = await session.query({ text: "select pg_total_relation_size('vehicles')", rowMode: "array" });
  const running = opened.move();
  return {
    snapshotTime,
    estimatedBytes: Number(rows[0]?.[0]),
    batches: () => readPostgres(session),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

interface PostgresSession {
  query(query: { readonly text: string; readonly rowMode?: "array" }): Promise<{ readonly rows: unknown[][] }>;
  release(destroy: boolean): void;
}

/** What is used here of the pool that MikroORM holds. */
interface PostgresPool {
  connect(): Promise<PostgresSession>;
}

async function* readPostgres(session: PostgresSession): AsyncGenerator<readonly ExportedRow[]> {
  // In byte order, which is also SQLite's: the file must not depend on the database's language.
  await session.query({
    text: `declare vehicle_rows no scroll cursor for ${SELECT} order by vin collate "C", model_year_hint`,
  });
  const firstPerVin = new FirstPerVin();
  for (;;) {
    const { rows } = await session.query({ text: `fetch ${ROWS_PER_BATCH} from vehicle_rows`, rowMode: "array" });
    if (rows.length === 0) {
      return;
    }
    yield firstPerVin.take(rows);
  }
}

/** Drops every row whose VIN the row before it had, also across batches, and damaged ones. */
class FirstPerVin {
  #last: unknown;

  /** @param rows in VIN order. */
  take(rows: readonly unknown[][]): ExportedRow[] {
    return rows.flatMap((row) => {
      // PostgreSQL gives big integers as text.
      row[DECODED_AT] = Number(row[DECODED_AT]);
      if (row[0] === this.#last || !isSound(row)) {
        return [];
      }
      this.#last = row[0];
      return [row];
    });
  }
}

function isSound(row: unknown[]): row is [...ExportedRow] {
  return row.every((cell, index) => (index === DECODED_AT ? Number.isSafeInteger(cell) : typeof cell === "string"));
}
