import type { Logger } from "../telemetry/logger.ts";
import type { VehicleStore } from "../vehicle/vehicle.ts";
import { parseDatabaseUrl } from "./database-url.ts";
import { openPostgresDatabase } from "./postgres-database.ts";
import { openSqliteDatabase } from "./sqlite-database.ts";
import { VehicleRepository } from "./vehicle-repository.ts";

export interface VehicleStoreOptions {
  /** See {@link parseDatabaseUrl}. */
  readonly databaseUrl: string;
  readonly logger: Logger;
  /** The time in ms since the epoch. Default: the system's. */
  readonly now?: (() => number) | undefined;
}

/** Opens the cache. */
export async function openVehicleStore(options: VehicleStoreOptions): Promise<VehicleStore & AsyncDisposable> {
  const { databaseUrl, logger, now = Date.now } = options;
  const location = parseDatabaseUrl(databaseUrl);
  const database =
    location.kind === "sqlite"
      ? await openSqliteDatabase(location.path, logger)
      : await openPostgresDatabase(location.url, logger);
  return new VehicleRepository(database, now);
}
