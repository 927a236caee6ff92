import { IsolationLevel } from "@mikro-orm/core";
import { MikroORM } from "@mikro-orm/postgresql";
import type { SqlEntityManager } from "@mikro-orm/sql";

import { FirstPerVin } from "./first-per-vin.ts";
import { VEHICLE_ROW_COLUMNS } from "./vehicle-rows-columns.ts";
import type { VehicleRow, VehicleRows } from "./vehicle-rows.ts";

const ROWS_PER_BATCH = 1024;
/** The first fetch may have to sort; the limits for lookups are far too short for it. */
const LIMITS = {
  connectionTimeoutMillis: 5_000,
  statement_timeout: 120_000,
  // The server keeps the limit above; this one is for a server that has fallen silent.
  query_timeout: 130_000,
};

interface PostgresRow {
  readonly vin: string;
  readonly make: string;
  readonly model: string;
  readonly model_year: string;
  readonly body_class: string;
  readonly source: string;
  readonly decoded_at: string | number;
  readonly verdict_codes: string;
  readonly attributes: string;
}

/** See openVehicleRows. The key of an entry without a hint has 0 for it, and so comes first of its VIN. */
export async function openPostgresVehicleRows(url: string, now: () => number): Promise<VehicleRows> {
  const orm = await MikroORM.init({
    entities: [],
    discovery: { warnWhenNoEntities: false },
    dbName: decodeURIComponent(new URL(url).pathname.slice(1)) || "postgres",
    ensureDatabase: false,
    driverOptions: { connectionString: url, max: 1, ...LIMITS },
  });
  const em = orm.em.fork();
  try {
    await em.begin({ isolationLevel: IsolationLevel.REPEATABLE_READ, readOnly: true });
    const snapshotTime = now();
    // A transaction sees the moment of its first query.
    const sizes = await em.execute<{ bytes: string | number }[]>("select pg_total_relation_size('vehicles') as bytes");
    return {
      snapshotTime,
      estimatedBytes: Number(sizes[0]?.bytes),
      batches: () => readBatches(em),
      [Symbol.asyncDispose]: async () => {
        try {
          // Also gives the connection back, which closing waits for.
          await em.rollback();
        } finally {
          await orm.close();
        }
      },
    };
  } catch (error) {
    await em.rollback().catch(noop);
    await orm.close();
    throw error;
  }
}

async function* readBatches(em: SqlEntityManager): AsyncGenerator<readonly VehicleRow[]> {
  // In byte order, which is also SQLite's: the file must not depend on the database's language.
  await em.execute(`declare vehicle_rows no scroll cursor for select ${VEHICLE_ROW_COLUMNS} from vehicles
    where is_negative = 0 order by vin collate "C", model_year_hint`);
  const firstPerVin = new FirstPerVin();
  for (;;) {
    const rows = await em.execute<PostgresRow[]>(`fetch ${ROWS_PER_BATCH} from vehicle_rows`);
    if (rows.length === 0) {
      return;
    }
    yield firstPerVin.take(rows.map(toVehicleRow));
  }
}

function toVehicleRow(row: PostgresRow): VehicleRow {
  return [
    row.vin,
    row.make,
    row.model,
    row.model_year,
    row.body_class,
    row.source,
    Number(row.decoded_at),
    row.verdict_codes,
    row.attributes,
  ];
}

function noop(): void {}
