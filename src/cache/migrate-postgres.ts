import type { MikroORM } from "@mikro-orm/postgresql";
import { isPostgresMigrated } from "./database-errors.ts";
import { MIGRATIONS } from "./mikro-options.ts";
import { inTransaction, type PostgresPool, type PostgresSession } from "./postgres-connection.ts";

/** MikroORM's table of the migrations that have run. Its command line uses it too. */
const RECORD = "mikro_orm_migrations";
const CREATE_RECORD = `create table ${RECORD} (id serial primary key, name varchar(255) not null,
  executed_at timestamptz not null default current_timestamp)`;
const TABLES = ["vehicles", "vehicle_removals", "fleet_budget", "fleet_leases", "fleet_members"];

/** How long a replica waits for another one that migrates. */
const REPLICA_TIMEOUT_MS = 10_000;
/** How long a migration waits for readers of a table, such as an export. Meanwhile, later readers wait behind it. */
const READERS_TIMEOUT_MS = 50;
/** Longer than any migration takes. */
const QUERY_TIMEOUT_MS = 600_000;
/** Replicas that create the first tables at the same time make each other fail. */
const ATTEMPTS = 5;

type Run = (text: string, values?: readonly unknown[]) => Promise<unknown[][]>;

/**
 * Runs the missing migrations in one transaction, one replica at a time: it locks the record of the first migration.
 * MikroORM's own migrator uses a second connection and changes the session.
 *
 * @throws the driver's error when a running export blocks the change of a table.
 */
export async function migratePostgres(orm: MikroORM, pool: PostgresPool): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await inTransaction(pool, "begin", (session) => migrateIn(orm, toRun(session)));
      return;
    } catch (error) {
      if (attempt === ATTEMPTS || !isPostgresMigrated(error)) {
        throw error;
      }
    }
  }
}

async function migrateIn(orm: MikroORM, run: Run): Promise<void> {
  await run(`set local lock_timeout = ${REPLICA_TIMEOUT_MS}`);
  if (!(await findTables(run)).includes(RECORD)) {
    await run(CREATE_RECORD);
  }
  await run(`select id from ${RECORD} order by id limit 1 for update`);
  await run(`set local lock_timeout = ${READERS_TIMEOUT_MS}`);
  await runMissing(orm, run);
  const tables = await findTables(run);
  if (!TABLES.every((table) => tables.includes(table))) {
    // A table was dropped, which the record does not show. The others must be dropped too: entries without the
    // removals are wrong, and so are the removals without entries.
    await run(`drop table if exists ${TABLES.join(", ")}`);
    await run(`delete from ${RECORD}`);
    await runMissing(orm, run);
  }
}

async function runMissing(orm: MikroORM, run: Run): Promise<void> {
  const done = await run(`select name from ${RECORD}`);
  for (const Migration of MIGRATIONS) {
    const migration = new Migration(orm.em.getDriver(), orm.config);
    if (!done.some(([name]) => name === migration.name)) {
      migration.up();
      for (const query of migration.getQueries()) {
        if (typeof query !== "string") {
          throw new TypeError("a migration is not plain SQL");
        }
        await run(query);
      }
      await run(`insert into ${RECORD} (name) values ($1)`, [migration.name]);
    }
  }
}

async function findTables(run: Run): Promise<unknown[]> {
  const rows = await run("select table_name from information_schema.tables where table_schema = current_schema()");
  return rows.flat();
}

function toRun(session: PostgresSession): Run {
  return async (text, values = []) => {
    const { rows } = await session.query({ text, values, rowMode: "array", query_timeout: QUERY_TIMEOUT_MS });
    return rows;
  };
}
