import type { Logger } from "../telemetry/logger.ts";
import type { VehicleStore } from "../vehicle/vehicle.ts";
import { parseDatabaseUrl } from "./database-url.ts";
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
  if (location.kind !== "sqlite") {
    throw new RangeError("PostgreSQL is not supported yet");
  }
  return new VehicleRepository(await openSqliteDatabase(location.path, logger), now);
}
