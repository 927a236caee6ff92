import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { NOON } from "../support/vehicle-samples.ts";
import { describeVehicleStore } from "../support/vehicle-store-contract.ts";

describeVehicleStore("SQLite", async () => {
  const directory = await mkdtemp(join(tmpdir(), "vehicle-store-"));
  let time = NOON;
  return {
    open: () =>
      openVehicleStore({
        databaseUrl: `sqlite:${join(directory, "made", "when", "missing", "vehicles.db")}`,
        logger: silentLogger,
        now: () => time,
      }),
    setTime: (now) => {
      time = now;
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
});
