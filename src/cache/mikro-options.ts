import { Migrator } from "@mikro-orm/migrations";

import type { Logger } from "../telemetry/logger.ts";
import { AddLikelyVin } from "./migrations/add-likely-vin.ts";
import { CreateFleet } from "./migrations/create-fleet.ts";
import { CreateVehicles } from "./migrations/create-vehicles.ts";
import { BudgetEntity, LeaseEntity, MemberEntity, RemovalEntity, VehicleEntity } from "./vehicle-entity.ts";

/** Listed instead of found by pattern, so that the type checker sees every migration. */
export const MIGRATIONS = [CreateVehicles, AddLikelyVin, CreateFleet];

/** Their names, which each database records. */
export const MIGRATION_NAMES = ["create-vehicles", "add-likely-vin", "create-fleet"];

/** MikroORM's options for both kinds of database. */
export function mikroOptions(logger: Pick<Logger, "debug">) {
  return {
    entities: [VehicleEntity, RemovalEntity, BudgetEntity, LeaseEntity, MemberEntity],
    extensions: [Migrator],
    migrations: { migrationsList: MIGRATIONS, snapshot: false, silent: true },
    logger: (message: string) => {
      logger.debug("database library", { detail: message });
    },
    colors: false,
  };
}
