import { Migrator } from "@mikro-orm/migrations";

import type { Logger } from "../telemetry/logger.ts";
import { AddLikelyVin } from "./migrations/add-likely-vin.ts";
import { CreateVehicles } from "./migrations/create-vehicles.ts";
import { RemovalEntity, VehicleEntity } from "./vehicle-entity.ts";

/** Listed instead of found by pattern, so that the type checker sees every migration. */
export const MIGRATIONS = [CreateVehicles, AddLikelyVin];

/** MikroORM's options for both kinds of database. */
export function mikroOptions(logger: Pick<Logger, "debug">) {
  return {
    entities: [VehicleEntity, RemovalEntity],
    extensions: [Migrator],
    migrations: { migrationsList: MIGRATIONS, snapshot: false, silent: true },
    logger: (message: string) => {
      logger.debug("database library", { detail: message });
    },
    colors: false,
  };
}
