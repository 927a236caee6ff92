import { join } from "node:path";

import { VehicleExports } from "../../src/export/vehicle-exports.ts";
import type { VehicleExportsOptions } from "../../src/export/vehicle-exports.ts";
import type { VehicleTable } from "./vehicle-table.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** Exports of a table, into a directory beside it. */
export function openExports(table: VehicleTable, overrides: Partial<VehicleExportsOptions> = {}) {
  return VehicleExports.start({
    location: table.location,
    directory: exportDirectory(table),
    service: "vehicle-service",
    version: "1.2.3",
    logger: silent,
    keepFreeBytes: 0,
    ...overrides,
  });
}

export function exportDirectory(table: VehicleTable): string {
  return join(table.directory, "exports");
}

/** A signal that is never aborted. */
export function noAbort(): AbortSignal {
  return new AbortController().signal;
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(chunks));
}
