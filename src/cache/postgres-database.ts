import { IsolationLevel } from "@mikro-orm/core";
import { MikroORM } from "@mikro-orm/postgresql";
import type { SqlEntityManager } from "@mikro-orm/sql";

import type { Logger } from "../telemetry/logger.ts";
import type { Vin } from "../vehicle/vin.ts";
import { affectedRows } from "./affected-rows.ts";
import { isPostgresLockTimeout } from "./database-faults.ts";
import { mikroOptions } from "./mikro-options.ts";
import { type PostgresPool, PostgresReads } from "./postgres-reads.ts";
import type { RunStatement, VehicleDatabase } from "./vehicle-database.ts";

const LIMITS = {
  max: 10,
  connectionTimeoutMillis: 500,
  statement_timeout: 500,
  lock_timeout: 100,
  // The server keeps the limits above; this one is for a server that has fallen silent.
  query_timeout: 1_000,
};

/** Any number will do, as long as all replicas agree. */
const MIGRATION_LOCK = 7_205_759_403;
const MIGRATION_WAIT_MS = 10_000;

const LOCK_ATTEMPTS = 5;
const LOCK_VIN = "select pg_advisory_xact_lock(hashtextextended(?, 0))";

/** Connects to PostgreSQL, and makes the tables where they are missing; the database must exist. */
export async function openPostgresDatabase(url: string, logger: Logger): Promise<VehicleDatabase> {
  const orm = await MikroORM.init({
    ...mikroOptions(logger),
    dbName: decodeURIComponent(new URL(url).pathname.slice(1)) || "postgres",
    ensureDatabase: false,
    driverOptions: { connectionString: url, ...LIMITS },
  });
  try {
    const pool: PostgresPool = await orm.em.getConnection().getNativeClient();
    await migrateAlone(pool, orm);
    const em = orm.em.fork();
    return {
      em,
      waitForRoom: () => Promise.resolve(true),
      reads: new PostgresReads(pool),
      withVinLocked: (vin, work) => withRetries(() => withVinLocked(em, vin, work)),
      flush: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => orm.close(),
    };
  } catch (error) {
    await orm.close();
    throw error;
  }
}

/**
 * The lock is taken by a statement of its own, and in read committed: the statements after it must see what was committed
 * until the lock was given.
 */
function withVinLocked<Result>(
  em: SqlEntityManager,
  vin: Vin,
  work: (run: RunStatement) => Promise<Result>,
): Promise<Result> {
  return em.transactional(
    async (transaction) => {
      await transaction.execute(LOCK_VIN, [vin]);
      return work((statement, parameters) => affectedRows(transaction, statement, parameters));
    },
    { isolationLevel: IsolationLevel.READ_COMMITTED },
  );
}

/** Others hold the lock of a VIN for a millisecond each, but on a busy machine several may be waiting for it. */
async function withRetries<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isPostgresLockTimeout(error) || attempt === LOCK_ATTEMPTS) {
        throw error;
      }
    }
  }
}

/** Runs the migrations while no other replica does. */
async function migrateAlone(pool: PostgresPool, orm: MikroORM): Promise<void> {
  const session = await pool.connect();
  try {
    await session.query({ text: `set lock_timeout = ${MIGRATION_WAIT_MS}` });
    await session.query({ text: `set statement_timeout = ${MIGRATION_WAIT_MS}` });
    await session.query({
      text: "select pg_advisory_lock($1)",
      values: [MIGRATION_LOCK],
      query_timeout: MIGRATION_WAIT_MS + LIMITS.query_timeout,
    });
    await orm.migrator.up();
  } finally {
    // Closing the session gives up its lock and its settings.
    session.release(true);
  }
}
