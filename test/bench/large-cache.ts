import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import Database from "better-sqlite3";
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { ALL_COLUMNS } from "../../src/cache/vehicle-row.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { connect, type PostgresServer } from "../support/postgres.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { CACHED_VIN, VIN_AT_IN_SQL } from "./calls/requests.ts";
import { truckOf } from "./truck-of.ts";

/** A cache of many vehicles, whose VINs are those of `vinAt`. */
export interface LargeCache {
  readonly databaseUrl: string;
  /** Of the table and its indexes. */
  readonly bytesPerRow: number;
  /** Reads all of it, so that it is in memory if it fits. */
  readonly warmUp: () => Promise<void>;
}

const ROWS_PER_TRANSACTION = 100_000;
/** Other pages are written again and again while rows are added. */
const SQLITE_PAGES_IN_MEMORY_KB = 2_000_000;

export async function createSqliteCache(path: string, rows: number): Promise<LargeCache> {
  const databaseUrl = `sqlite:${path}`;
  await createWithOneRow(databaseUrl);
  const database = new Database(path);
  // In its safe mode, better-sqlite3 would ignore that the journal is turned off.
  database.unsafeMode();
  database.pragma("journal_mode = OFF");
  database.pragma("synchronous = OFF");
  database.pragma(`cache_size = -${SQLITE_PAGES_IN_MEMORY_KB}`);
  for (let first = 0; first < rows; first += ROWS_PER_TRANSACTION) {
    const end = Math.min(first + ROWS_PER_TRANSACTION, rows);
    database.exec(
      `with recursive series (n) as (select ${first} union all select n + 1 from series where n + 1 < ${end})
      ${copiesOf("series")}`,
    );
  }
  database.pragma("journal_mode = WAL");
  database.close();
  const { size } = await stat(path);
  return {
    databaseUrl,
    bytesPerRow: size / rows,
    warmUp: () => pipeline(createReadStream(path), new Writable({ write: (_chunk, _encoding, done) => done() })),
  };
}

export async function createPostgresCache(server: PostgresServer, rows: number): Promise<LargeCache> {
  const databaseUrl = await server.createDatabase(`rows_${rows}`);
  await createWithOneRow(databaseUrl);
  const orm = await connect(databaseUrl);
  for (let first = 0; first < rows; first += ROWS_PER_TRANSACTION) {
    const last = Math.min(first + ROWS_PER_TRANSACTION, rows) - 1;
    await orm.em.execute(copiesOf(`generate_series(${first}::bigint, ${last}::bigint) as series (n)`));
  }
  // What the server's own vacuuming would do later, while calls are measured.
  await orm.em.execute("vacuum (analyze) vehicles");
  const [size]: { bytes: string }[] = await orm.em.execute("select pg_total_relation_size('vehicles') as bytes");
  await orm.close();
  return {
    databaseUrl,
    bytesPerRow: Number(size?.bytes) / rows,
    warmUp: async () => {
      const warming = await connect(databaseUrl);
      await warming.em.execute("select max(octet_length(attributes)) from vehicles");
      await warming.close();
    },
  };
}

async function createWithOneRow(databaseUrl: string): Promise<void> {
  await using store = await openVehicleStore({ databaseUrl, logger: silentLogger, readTimeoutMs: 10_000 });
  const vin = parseVin(CACHED_VIN);
  await store.put({ vin }, truckOf(vin, { decodedAt: Date.now() }), await store.removalsOf(vin));
}

/** Copies the row of {@link CACHED_VIN} for each `n` of a series. Each was decoded at another time of the last day. */
function copiesOf(series: string): string {
  const cells = ALL_COLUMNS.map((column) => {
    switch (column) {
      case "vin":
        return VIN_AT_IN_SQL("n");
      case "decoded_at":
        return "decoded_at - n % 86400000";
      default:
        return column;
    }
  });
  return `insert into vehicles (${ALL_COLUMNS.join(", ")}) select ${cells.join(", ")}
    from (select * from vehicles where vin = '${CACHED_VIN}') as truck cross join ${series}`;
}
