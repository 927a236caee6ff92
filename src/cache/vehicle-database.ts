import type { SqlEntityManager } from "@mikro-orm/sql";

import type { CachedVehicle, VehicleQuery, View } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import type { Cell } from "./vehicle-row.ts";

/** An open, migrated database, and what differs between the kinds. */
export interface VehicleDatabase extends AsyncDisposable {
  readonly em: SqlEntityManager;
  /** Reads past the entity manager, which costs twenty times as much. */
  readonly reads: VehicleReads;
  /**
   * Waits a short while until what can wait may be written. On SQLite an export keeps the write-ahead log from being
   * used again, so that writes make it longer.
   *
   * @returns false when there is still no room; then do not write.
   */
  waitForRoom(): Promise<boolean>;
  /** Runs statements that none which others run on this VIN may come between. Each statement is atomic in itself. */
  withVinLocked<Result>(vin: Vin, work: (run: RunStatement) => Promise<Result>): Promise<Result>;
  /** Returns when what was written before will survive even the loss of power. */
  flush(): Promise<void>;
}

/** Runs a statement, and gives how many rows it inserted, changed or deleted. */
export type RunStatement = (statement: string, parameters: readonly Cell[]) => Promise<number>;

export interface VehicleReads {
  find(query: VehicleQuery, view: View): Promise<CachedVehicle | undefined>;
  findMany(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]>;
  removalsOf(vin: Vin): Promise<number>;
}
