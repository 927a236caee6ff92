import { join } from "node:path";

import { VehicleExports } from "../../src/export/vehicle-exports.ts";

// Exports the database of a directory, says so, begins to export once more, and never ends by itself.
const [directory = "", exportDirectory = ""] = process.argv.slice(2);
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const exports = await VehicleExports.start({
  location: { kind: "sqlite", path: join(directory, "vehicles.db") },
  directory: exportDirectory,
  service: "vehicle-service",
  version: "0.0.0",
  logger: silent,
  keepFreeBytes: 0,
});
const { signal } = new AbortController();
const file = await exports.create("client", signal);
void exports.create("client", signal);
process.stdout.write(`${file.rowCount}\n`);
setInterval(() => file.sizeBytes, 1_000);
