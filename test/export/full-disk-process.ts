import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { VehicleExports } from "../../src/export/vehicle-exports.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { noAbort } from "./open-exports.ts";
import { VehicleTable } from "./vehicle-table.ts";

// Fills a cache and then the rest of its disk, exports the cache and prints the outcome.
const [directory = "", exportDirectory = ""] = process.argv.slice(2);
const databaseUrl = `sqlite:${join(directory, "vehicles.db")}`;
await using _store = await openVehicleStore({ databaseUrl, logger: silentLogger });
await using table = new VehicleTable(directory);
// The log cannot be moved into the database when the disk is full.
table.database.pragma("wal_autocheckpoint = 0");
table.put(
  Array.from({ length: 2_000 }, (_, index) => ({
    vin: `1XPWD40X${String(index).padStart(9, "0")}`,
    attributes: { Note: `${index}`.repeat(200) },
  })),
);
try {
  for (let index = 0; ; index++) {
    writeFileSync(join(directory, `filler-${index}`), Buffer.alloc(65_536));
  }
} catch {
  // Full.
}
await using exports = await VehicleExports.start({
  location: table.location,
  directory: exportDirectory,
  service: "vehicle-service",
  version: "1.2.3",
  logger: silentLogger,
  keepFreeBytes: 0,
});
const outcome = await exports.create("client", noAbort()).then(
  ({ rowCount }) => `${rowCount} rows`,
  (error: unknown) => (error instanceof Error ? error.name : "not an error"),
);
process.stdout.write(`${outcome}\n`);
