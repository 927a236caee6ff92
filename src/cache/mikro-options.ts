import { Migrator } from "@mikro-orm/migrations";

import type { Logger } from "../telemetry/logger.ts";
import { AddLikelyVin } from "./migrations/add-likely-vin.ts";
import { CreateVehicles } from "./migrations/create-vehicles.ts";
import { RemovalEntity, VehicleEntity } from "./vehicle-entity.ts";

/** What both kinds of database tell MikroORM. */
export function mikroOptions(logger: Pick<Logger, "debug">) {
  return {
    entities: [VehicleEntity, RemovalEntity],
    extensions: [Migrator],
    // Listed, not found by pattern: what runs is what the type checker saw, and nothing is written beside it.
    migrations: { migrationsList: [CreateVehicles, AddLikelyVin], snapshot: false, silent: true },
    logger: (message: string) => {
      logger.debug("database library", { detail: message });
    },
    colors: false,
  };
}
