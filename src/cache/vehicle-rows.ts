import type { DatabaseLocation } from "./database-url.ts";
import { openSqliteVehicleRows } from "./sqlite-vehicle-rows.ts";

/** One vehicle of the cache, as its row stands; the codes of the verdict are joined by commas. */
export type VehicleRow = readonly [
  vin: string,
  make: string,
  model: string,
  modelYear: string,
  bodyClass: string,
  source: string,
  decodedAtMs: number,
  verdictCodes: string,
  /** A JSON object of strings. */
  attributes: string,
];

/**
 * Every vehicle of the cache at one moment. While it is open the database keeps that moment alive (SQLite cannot reuse
 * its write-ahead log), so read fast and dispose.
 */
export interface VehicleRows extends AsyncDisposable {
  /** The moment that the rows show, in ms since the epoch. */
  readonly snapshotTime: number;
  /** What the table takes in the database, about: an upper bound for most ways to write the rows down. */
  readonly estimatedBytes: number;
  /**
   * The vehicles in VIN order, each VIN once: the entry without a year hint, else that of the smallest hint. Entries of
   * VINs that could not be decoded are left out. To be called once.
   */
  batches(): AsyncIterable<readonly VehicleRow[]>;
}

/**
 * Opens a connection of its own and begins one read transaction on it. Meant for a worker thread: with SQLite, reading
 * blocks the thread.
 *
 * @param now the time in ms since the epoch.
 * @throws the database's own errors.
 */
export async function openVehicleRows(location: DatabaseLocation, now: () => number): Promise<VehicleRows> {
  if (location.kind === "sqlite") {
    return openSqliteVehicleRows(location.path, now);
  }
  // Loading MikroORM takes longer than a small export; with SQLite there is no need for it.
  const { openPostgresVehicleRows } = await import("./postgres-vehicle-rows.ts");
  return openPostgresVehicleRows(location.url, now);
}
