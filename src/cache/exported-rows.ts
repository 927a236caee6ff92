import Database from "better-sqlite3";
import type { DatabaseLocation } from "./database-url.ts";
import { isOldGuess } from "./old-guess.ts";
import { postgresOptions, type PostgresPool, type PostgresSession } from "./postgres-connection.ts";
import type { VehicleColumn } from "./vehicle-entity.ts";

/**
 * The stored columns of an exported vehicle, in the order of {@link ExportedRow}. They are written out, and only their
 * type is checked against the entity, because loading MikroORM takes longer than a small export.
 */
export const EXPORTED_COLUMNS = [
  "vin",
  "make",
  "model",
  "model_year",
  "body_class",
  "source",
  "decoded_at",
  "verdict_codes",
  "verdict_text",
  "suggested_vin",
  "attributes",
] as const satisfies readonly VehicleColumn[];

export type ExportedColumn = (typeof EXPORTED_COLUMNS)[number];

/**
 * One vehicle of the cache, as it is stored: texts, and the time in ms since the epoch. The codes of the verdict are
 * joined by commas, and the attributes are a JSON object of strings.
 */
export type ExportedRow = RowOf<typeof EXPORTED_COLUMNS>;

type RowOf<Columns extends readonly ExportedColumn[]> = {
  readonly [Index in keyof Columns]: Columns[Index] extends "decoded_at" ? number : string;
};

/**
 * A consistent snapshot of all vehicles in the cache. Read it quickly and dispose of it: while it is open, the database
 * must keep the old state, and SQLite cannot reuse its write-ahead log.
 */
export interface ExportedRows extends AsyncDisposable {
  /** The time of the snapshot, in ms since the epoch. */
  readonly snapshotTime: number;
  /** About the size of the table in the database: an upper bound for most file formats. */
  readonly estimatedBytes: number;
  /**
   * The vehicles in VIN order. Of several entries for a VIN, the one without a year hint is used, otherwise the one
   * with the smallest hint. Damaged and negative entries are left out. Call this only once.
   */
  batches(): AsyncIterable<readonly ExportedRow[]>;
}

/** Entries without a hint have 0, so they come first for their VIN. */
const FROM_VEHICLES = "from vehicles where is_negative = 0";
const SELECT_ROWS = `select ${EXPORTED_COLUMNS.join(", ")} ${FROM_VEHICLES}`;

/** A batch ends at the first of these limits, so that rows of any size fit into memory. Bytes are approximate. */
const MAX_ROWS_PER_BATCH = 1_024;
/** For SQLite. Small enough that most texts are garbage before V8 copies them. */
const SQLITE_BYTES_PER_BATCH = 131_072;
/** For PostgreSQL. A batch takes a round trip. */
const POSTGRES_BYTES_PER_BATCH = 1_048_576;

/** For SQLite. Each page is read once, so a cache gains nothing unless it fits into the processor's. */
const SQLITE_CACHE_KIB = 512;
/** For SQLite. In a worker thread, waiting for a lock blocks no other call. */
const BUSY_TIMEOUT_MS = 5_000;
/** For PostgreSQL. The first fetch may sort the table, which takes far longer than a Lookup. */
const POSTGRES_LIMITS = {
  connectionTimeoutMillis: 5_000,
  query_timeout: 130_000,
};
const SERVER_LIMIT_MS = 120_000;

/**
 * Opens a new connection and begins a read transaction on it. Use it in a worker thread: with SQLite, reading blocks
 * the thread.
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
    database.pragma(`cache_size = -${SQLITE_CACHE_KIB}`);
    // Before the transaction begins, because that would prevent the log from being reused.
    moveLogIntoDatabase(database);
    database.pragma("query_only = ON");
    database.exec("begin");
    const snapshotTime = now();
    // A transaction sees the state at its first read.
    const estimatedBytes = readNumber(database, "page_count") * readNumber(database, "page_size");
    return {
      snapshotTime,
      estimatedBytes,
      batches: () => readSqlite(database),
      [Symbol.asyncDispose]: async () => {
        try {
          database.exec("rollback");
          database.pragma("query_only = OFF");
          // Otherwise the next writer would have to do this on the main thread.
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

async function* readSqlite(database: Database.Database): AsyncGenerator<readonly ExportedRow[]> {
  const rows = database.prepare<[], unknown[]>(`${SELECT_ROWS} order by vin, model_year_hint`).raw(true).iterate();
  const filter = new RowFilter();
  let batch: ExportedRow[] = [];
  let characters = 0;
  for (const row of rows) {
    if (filter.accepts(row)) {
      batch.push(row);
      characters += countCharacters(row);
    }
    if (batch.length === MAX_ROWS_PER_BATCH || characters >= SQLITE_BYTES_PER_BATCH) {
      yield batch;
      batch = [];
      characters = 0;
    }
  }
  yield batch;
}

function countCharacters(row: ExportedRow): number {
  let characters = 0;
  for (const cell of row) {
    characters += typeof cell === "string" ? cell.length : 0;
  }
  return characters;
}

/**
 * Moves the write-ahead log into the database, without blocking readers or writers. When all of it has been moved, the
 * next write restarts the log. A full disk prevents the move, but not reading.
 */
function moveLogIntoDatabase(database: Database.Database): void {
  try {
    database.pragma("wal_checkpoint(PASSIVE)");
  } catch {
    // If the database is damaged, reading it will fail.
  }
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
    ...(await postgresOptions(url, { max: 1, ...POSTGRES_LIMITS })),
  });
  opened.defer(() => orm.close());
  const pool: PostgresPool = await orm.em.getConnection().getNativeClient();
  const session = await pool.connect();
  // Closing the session ends its transaction.
  opened.defer(() => session.release(true));
  // `read write` fails on a standby, which may still have vehicles that were removed on the primary.
  await session.query({
    text: `begin isolation level repeatable read read write; set local statement_timeout = ${SERVER_LIMIT_MS}`,
  });
  const snapshotTime = now();
  // A transaction sees the state at its first query.
  const { rows } = await session.query({ text: "select pg_total_relation_size('vehicles')", rowMode: "array" });
  const running = opened.move();
  return {
    snapshotTime,
    estimatedBytes: Number(rows[0]?.[0]),
    batches: () => readPostgres(session),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function* readPostgres(session: PostgresSession): AsyncGenerator<readonly ExportedRow[]> {
  // Byte order, as in SQLite, so that the file does not depend on the database's locale.
  const order = `order by vin collate "C", model_year_hint`;
  // The sizes are read first, because a fetch can only be limited by the number of rows.
  const size = EXPORTED_COLUMNS.map((column) => `octet_length(${column}::text)`).join(" + ");
  await session.query({ text: `declare row_sizes no scroll cursor for select ${size} ${FROM_VEHICLES} ${order}` });
  await session.query({ text: `declare vehicle_rows no scroll cursor for ${SELECT_ROWS} ${order}` });
  const filter = new RowFilter();
  for (;;) {
    const { rows: sizes } = await session.query({
      text: `fetch ${MAX_ROWS_PER_BATCH} from row_sizes`,
      rowMode: "array",
    });
    if (sizes.length === 0) {
      return;
    }
    for (const count of batchLengths(sizes.map(([bytes]) => Number(bytes)))) {
      const { rows } = await session.query({ text: `fetch ${count} from vehicle_rows`, rowMode: "array" });
      yield rows.filter((row) => filter.accepts(row));
    }
  }
}

/** Splits rows of these sizes into batches. A batch that is too large has one row. */
function batchLengths(sizes: readonly number[]): number[] {
  const lengths: number[] = [];
  let bytes = Infinity;
  for (const size of sizes) {
    bytes += size;
    if (bytes > POSTGRES_BYTES_PER_BATCH) {
      lengths.push(0);
      bytes = size;
    }
    lengths[lengths.length - 1] = (lengths.at(-1) ?? 0) + 1;
  }
  return lengths;
}

const DECODED_AT = EXPORTED_COLUMNS.indexOf("decoded_at");
const VERDICT_CODES = EXPORTED_COLUMNS.indexOf("verdict_codes");
const SUGGESTED_VIN = EXPORTED_COLUMNS.indexOf("suggested_vin");

/** Leaves out damaged rows, and rows with the same VIN as the one accepted before. */
class RowFilter {
  #lastVin: unknown;

  /** @param row in VIN order. Its time becomes a number: PostgreSQL gives big integers as text. */
  accepts(row: unknown[]): row is [...ExportedRow] {
    row[DECODED_AT] = Number(row[DECODED_AT]);
    const [vin] = row;
    if (vin === this.#lastVin || !isSound(row)) {
      return false;
    }
    this.#lastVin = vin;
    if (hasOldGuess(row)) {
      row[SUGGESTED_VIN] = "";
    }
    return true;
  }
}

function hasOldGuess(row: readonly unknown[]): boolean {
  const suggestedVin = String(row[SUGGESTED_VIN]);
  return suggestedVin !== "" && isOldGuess(String(row[VERDICT_CODES]).split(",").map(Number), suggestedVin);
}

function isSound(row: readonly unknown[]): boolean {
  for (let index = 0; index < row.length; index++) {
    const cell = row[index];
    if (index === DECODED_AT ? !Number.isSafeInteger(cell) : typeof cell !== "string") {
      return false;
    }
  }
  return true;
}
