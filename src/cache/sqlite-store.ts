import { existsSync } from "node:fs";
import { basename } from "node:path";
import { setTimeout } from "node:timers/promises";

import type { Logger } from "../telemetry/logger.ts";
import { isSqliteBusy, isSqliteLost } from "./database-faults.ts";
import type { OpenedStore } from "./opened-store.ts";
import { openSqliteDatabase } from "./sqlite-database.ts";
import { isEmpty, SqliteFile } from "./sqlite-file.ts";
import { VehicleRepository } from "./vehicle-repository.ts";
import { WatchedStore } from "./watched-store.ts";

/** How often opening is tried while other processes are opening the same file, and the pause between. */
const BUSY_ATTEMPTS = 20;
const BUSY_PAUSE_MS = 50;

export interface SqliteStoreOptions {
  readonly path: string;
  readonly logger: Logger;
  readonly now: () => number;
  readonly elapsedMs: () => number;
}

/** Opens the store in a SQLite file. One that cannot be used is renamed, and a new one made. */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<OpenedStore> {
  const found = new SqliteFile(options.path);
  if (isEmpty(options.path) && existsSync(`${options.path}-wal`)) {
    // Emptied, not new: a new file gets its log later than its first page.
    await quarantine(found, options);
  }
  try {
    return await openPatiently(options);
  } catch (error) {
    if (!isSqliteLost(error)) {
      throw error;
    }
    options.logger.error("the cache's database cannot be used, a new one takes its place", { err: error });
    await quarantine(found, options);
    return openPatiently(options);
  }
}

async function quarantine(file: SqliteFile, { now, logger }: SqliteStoreOptions): Promise<void> {
  const path = await file.quarantine(now());
  if (path !== undefined) {
    logger.warn("the unusable database was put away", { file: basename(path) });
  }
}

async function openPatiently(options: SqliteStoreOptions): Promise<OpenedStore> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openOnce(options);
    } catch (error) {
      if (!isSqliteBusy(error) || attempt === BUSY_ATTEMPTS) {
        throw error;
      }
      await setTimeout(BUSY_PAUSE_MS);
    }
  }
}

async function openOnce(options: SqliteStoreOptions): Promise<OpenedStore> {
  const { path, logger, now, elapsedMs } = options;
  const repository = new VehicleRepository(await openSqliteDatabase(path, logger), now);
  const file = new SqliteFile(path);
  return new WatchedStore(repository, { file, elapsedMs, quarantine: () => quarantine(file, options) });
}
