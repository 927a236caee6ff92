import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import Database from "better-sqlite3";
import type { Logger } from "../telemetry/logger.ts";
import { type DatabaseLocation, parseDatabaseUrl } from "./database-url.ts";
import { MIGRATION_NAMES } from "./mikro-options.ts";
import { openVehicleStore } from "./open-vehicle-store.ts";
import { closePostgres, postgresOptions, type PostgresPool } from "./postgres-connection.ts";
import { ALL_COLUMNS, KEY_COLUMNS } from "./vehicle-row.ts";

export interface CopyOptions {
  /** See `parseDatabaseUrl`. */
  readonly from: string;
  readonly to: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly onProgress: (rows: number, total: number) => void;
}

/** What the target holds now. */
export interface CopyResult {
  readonly vehicles: number;
  readonly removals: number;
  /** SHA-256 of all rows in both databases, as hex. */
  readonly checksum: string;
}

/** The copy was refused or is not exact. The message is for the operator. */
export class CopyError extends Error {
  override readonly name = "CopyError";
}

interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  readonly key: readonly string[];
}

const VEHICLES: Table = { name: "vehicles", columns: ALL_COLUMNS, key: KEY_COLUMNS };
const REMOVALS: Table = {
  name: "vehicle_removals",
  columns: ["vin", "generation", "removed_at"],
  key: ["vin"],
};

const ROWS_PER_BATCH = 500;
const QUERY_TIMEOUT_MS = 120_000;

type Cell = string | null;
type Row = readonly Cell[];

/** Runs SQL with the parameters `$1`, `$2`, ..., each used once and in this order. */
interface Connection extends AsyncDisposable {
  query(text: string, values: readonly Cell[]): Promise<unknown[][]>;
  /** Sorts text by its bytes. */
  readonly binary: string;
}

/**
 * Copies a cache to another database, which is created if it does not exist. Rows that the target already has are not
 * written again, so an interrupted copy can be resumed. No service may use either database during the copy.
 *
 * @throws CopyError when the source does not exist, the target is newer, or the copy differs from the source.
 */
export async function copyCache({ from, to, logger, signal, onProgress }: CopyOptions): Promise<CopyResult> {
  const [source, target] = [parseDatabaseUrl(from), parseDatabaseUrl(to)];
  if (source.kind === "sqlite" && !existsSync(source.path)) {
    throw new CopyError("FROM does not exist");
  }
  await createTables(from, logger);
  await createTables(to, logger);
  await using reader = await connect(source);
  await using writer = await connect(target);
  await assertNotNewer(reader, writer);

  const total = await count(reader, VEHICLES);
  let copied = 0;
  for (const table of [REMOVALS, VEHICLES]) {
    for await (const rows of readBatches(reader, table)) {
      signal.throwIfAborted();
      await writeMissing(writer, table, rows);
      copied += table === VEHICLES ? rows.length : 0;
      onProgress(copied, total);
    }
  }
  const [expected, found] = [await inspect(reader, signal), await inspect(writer, signal)];
  if (expected.checksum !== found.checksum) {
    const counts = [expected, found].map(({ vehicles, removals }) => `${vehicles} vehicles and ${removals} removals`);
    throw new CopyError(`the copy is not exact: FROM has ${counts[0]}, TO has ${counts[1]}; is a service running?`);
  }
  return found;
}

/** Opens a cache as the service does. */
async function createTables(databaseUrl: string, logger: Logger): Promise<void> {
  await using store = await openVehicleStore({ databaseUrl, logger });
  await store.ping();
}

async function assertNotNewer(reader: Connection, writer: Connection): Promise<void> {
  const migrations = await writer.query("select name from mikro_orm_migrations", []);
  if (!migrations.every(([name]) => MIGRATION_NAMES.includes(String(name)))) {
    throw new CopyError("TO was created by a newer version of the service");
  }
  const [newest, newestInTarget] = await Promise.all(
    [reader, writer].map(async (connection) => {
      const [row] = await connection.query("select max(decoded_at) from vehicles", []);
      return Number(row?.[0] ?? 0);
    }),
  );
  if ((newestInTarget ?? 0) > (newest ?? 0)) {
    throw new CopyError("TO has entries that are newer than those of FROM");
  }
}

async function* readBatches(connection: Connection, table: Table): AsyncGenerator<readonly Row[]> {
  let after: readonly Cell[] | undefined;
  for (;;) {
    const rows = await readAfter(connection, table, after);
    if (rows.length === 0) {
      return;
    }
    yield rows;
    after = rows.at(-1)?.slice(0, table.key.length);
  }
}

async function readAfter(
  connection: Connection,
  { name, columns, key }: Table,
  after: readonly Cell[] | undefined,
): Promise<Row[]> {
  const keys = [`vin ${connection.binary}`, ...key.slice(1)].join(", ");
  const condition = after === undefined ? "" : `where (${keys}) > (${placeholders(key.length)})`;
  const rows = await connection.query(
    `select ${columns.join(", ")} from ${name} ${condition} order by ${keys} limit ${ROWS_PER_BATCH}`,
    after ?? [],
  );
  return rows.map(toCells);
}

/** Writes the rows that are missing in the target or differ there. */
async function writeMissing(connection: Connection, table: Table, rows: readonly Row[]): Promise<void> {
  const { name, columns, key } = table;
  const vins = [...new Set(rows.map(([vin]) => vin ?? null))];
  const present = await connection.query(
    `select ${columns.join(", ")} from ${name} where vin in (${placeholders(vins.length)})`,
    vins,
  );
  const known = new Set(present.map((row) => JSON.stringify(toCells(row))));
  const missing = rows.filter((row) => !known.has(JSON.stringify(row)));
  if (missing.length > 0) {
    const lines = missing.map((_, index) => `(${placeholders(columns.length, index * columns.length)})`);
    const changes = columns.slice(key.length).map((column) => `${column} = excluded.${column}`);
    await connection.query(
      `insert into ${name} (${columns.join(", ")}) values ${lines.join(", ")}
      on conflict (${key.join(", ")}) do update set ${changes.join(", ")}`,
      missing.flat(),
    );
  }
}

async function inspect(connection: Connection, signal: AbortSignal): Promise<CopyResult> {
  const hash = createHash("sha256");
  for (const table of [REMOVALS, VEHICLES]) {
    for await (const rows of readBatches(connection, table)) {
      signal.throwIfAborted();
      hash.update(JSON.stringify(rows));
    }
  }
  const [vehicles, removals] = [await count(connection, VEHICLES), await count(connection, REMOVALS)];
  return { vehicles, removals, checksum: hash.digest("hex") };
}

async function count(connection: Connection, { name }: Table): Promise<number> {
  const [row] = await connection.query(`select count(*) from ${name}`, []);
  return Number(row?.[0]);
}

/** PostgreSQL gives big integers as text. */
function toCells(row: readonly unknown[]): Row {
  return row.map((cell) => (typeof cell === "number" ? String(cell) : typeof cell === "string" ? cell : null));
}

function placeholders(number: number, before = 0): string {
  return Array.from({ length: number }, (_, index) => `$${before + index + 1}`).join(", ");
}

async function connect(location: DatabaseLocation): Promise<Connection> {
  if (location.kind === "sqlite") {
    const database = new Database(location.path, { fileMustExist: true });
    database.pragma("trusted_schema = OFF");
    return {
      binary: "",
      query: async (text, values) => {
        const statement = database.prepare<unknown[], unknown[]>(text.replaceAll(/\$\d+/g, "?"));
        if (!statement.reader) {
          statement.run(...values);
          return [];
        }
        return statement.raw(true).all(...values);
      },
      [Symbol.asyncDispose]: async () => void database.close(),
    };
  }
  const { MikroORM } = await import("@mikro-orm/postgresql");
  const orm = await MikroORM.init({
    entities: [],
    discovery: { warnWhenNoEntities: false },
    ...(await postgresOptions(location.url, { max: 1, query_timeout: QUERY_TIMEOUT_MS })),
  });
  const pool: PostgresPool = await orm.em.getConnection().getNativeClient();
  return {
    binary: 'collate "C"',
    query: async (text, values) => (await pool.query({ text, values, rowMode: "array" })).rows,
    [Symbol.asyncDispose]: () => closePostgres(orm, pool),
  };
}
