import { afterAll, beforeAll } from "vitest";

import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { PostgresServer } from "../support/postgres.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { NOON } from "../support/vehicle-samples.ts";
import { describeVehicleStore } from "../support/vehicle-store-contract.ts";

let server: PostgresServer;
let databases = 0;

beforeAll(async () => {
  server = await PostgresServer.start();
});

afterAll(() => server[Symbol.asyncDispose]());

describeVehicleStore("PostgreSQL", async () => {
  const databaseUrl = await server.createDatabase(`vehicles_${databases++}`);
  let time = NOON;
  return {
    open: () => openVehicleStore({ databaseUrl, logger: silentLogger, now: () => time }),
    setTime: (now) => {
      time = now;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
});
