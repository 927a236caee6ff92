import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";

import { MikroORM } from "@mikro-orm/sqlite";
import type { Database } from "better-sqlite3";

import type { Logger } from "../telemetry/logger.ts";
import { LogBudget } from "./log-budget.ts";
import { mikroOptions } from "./mikro-options.ts";
import { SqliteReads } from "./sqlite-reads.ts";
import { createSqliteWrites } from "./sqlite-writes.ts";
import type { VehicleDatabase } from "./vehicle-database.ts";

/** Waiting for another process's lock blocks the event loop, so it is short. */
const BUSY_TIMEOUT_MS = 50;

/**
 * The file is not mapped into memory: if another process cut it short, touching the mapping would end this one.
 *
 * With `synchronous=NORMAL` a commit survives the end of the process, `kill -9` included; what must survive the loss of
 * power is flushed by `flush`, which does not block the event loop as `synchronous=FULL` would.
 */
const PRAGMAS = ["synchronous = NORMAL", "trusted_schema = OFF"];

/** Opens a SQLite file, and makes it, its directory and its tables where they are missing. */
export async function openSqliteDatabase(path: string, logger: Logger): Promise<VehicleDatabase> {
  await mkdir(dirname(path), { recursive: true });
  const options = mikroOptions(logger);
  const orm = await MikroORM.init({
    ...options,
    migrations: { ...options.migrations, transactional: false, allOrNothing: false },
    dbName: path,
    driverOptions: { timeout: BUSY_TIMEOUT_MS },
  });
  try {
    const client = await orm.em.getConnection().getNativeClient();
    setPragmas(client);
    await migrateAlone(client, orm);
    const em = orm.em.fork();
    const budget = new LogBudget(client);
    const run = createSqliteWrites(client);
    return {
      waitForRoom: () => budget.waitForRoom(),
      em,
      reads: new SqliteReads(client),
      // One statement at a time writes to the file, and it sees all that was written before.
      withVinLocked: (_vin, work) => work(run),
      flush: () => flushToDisk(`${path}-wal`),
      [Symbol.asyncDispose]: () => orm.close(),
    };
  } catch (error) {
    await orm.close();
    throw error;
  }
}

function setPragmas(client: Database): void {
  if (client.pragma("journal_mode = WAL", { simple: true }) !== "wal") {
    throw new Error("the file system of the database does not support write-ahead logging");
  }
  for (const pragma of PRAGMAS) {
    client.pragma(pragma);
  }
}

/** Runs the migrations in one transaction, which holds the write lock from its beginning. */
async function migrateAlone(client: Database, orm: MikroORM): Promise<void> {
  client.exec("begin immediate");
  try {
    await orm.migrator.up();
    client.exec("commit");
  } finally {
    if (client.inTransaction) {
      client.exec("rollback");
    }
  }
}

async function flushToDisk(path: string): Promise<void> {
  await using file = await open(path, "r+");
  await file.datasync();
}
