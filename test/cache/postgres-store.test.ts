import type { MikroORM } from "@mikro-orm/postgresql";
import { afterAll, beforeAll } from "vitest";

import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { connect } from "../support/postgres.ts";
import { createSharedDatabase } from "../support/shared.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { NOON } from "../support/vehicle-samples.ts";
import { describeVehicleStore } from "../support/vehicle-store-contract.ts";

let databaseUrl: string;
let orm: MikroORM;

beforeAll(async () => {
  databaseUrl = await createSharedDatabase("vehicles");
  orm = await connect(databaseUrl);
});

afterAll(async () => {
  await orm.close();
});

describeVehicleStore("PostgreSQL", async () => {
  // Ten times as fast as creating a database for each test.
  await orm.em.execute(
    "drop table if exists vehicles, vehicle_removals, fleet_budget, fleet_leases, fleet_members, mikro_orm_migrations",
  );
  let time = NOON;
  return {
    open: () => openVehicleStore({ databaseUrl, logger: silentLogger, now: () => time, readTimeoutMs: 10_000 }),
    setTime: (now) => {
      time = now;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
});
