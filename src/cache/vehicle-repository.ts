import type { CachedVehicle, Decode, SweepCutoffs, VehicleQuery, View } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import type { OpenedStore } from "./opened-store.ts";
import { DELETE_VEHICLES, PING, PUT_VEHICLE, RECORD_REMOVAL } from "./statements.ts";
import { sweepRemovals, sweepVehicles } from "./sweep.ts";
import type { VehicleDatabase } from "./vehicle-database.ts";
import { toRow } from "./vehicle-row.ts";

/** Records of removals are kept far longer than any decode can be in flight. */
const KEEP_REMOVALS_MS = 3_600_000;

/** The vehicles of one open database, which it owns. Faults are thrown as the database's own errors. */
export class VehicleRepository implements OpenedStore {
  readonly #database: VehicleDatabase;
  readonly #now: () => number;

  /** @param now the time in ms since the epoch. */
  constructor(database: VehicleDatabase, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  find(query: VehicleQuery, view: View): Promise<CachedVehicle | undefined> {
    return this.#database.reads.find(query, view);
  }

  findMany(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]> {
    return this.#database.reads.findMany(queries, view);
  }

  removalsOf(vin: Vin): Promise<number> {
    return this.#database.reads.removalsOf(vin);
  }

  async put(query: VehicleQuery, decode: Decode, removals: number | undefined): Promise<boolean> {
    if (removals === undefined || !Number.isSafeInteger(removals)) {
      return false;
    }
    if (!(await this.#database.waitForRoom())) {
      return false;
    }
    const cells = [...toRow(query, decode), query.vin, removals];
    return this.#database.withVinLocked(query.vin, async (run) => (await run(PUT_VEHICLE, cells)) > 0);
  }

  async remove(vin: Vin): Promise<boolean> {
    // In this order no transaction is needed: once the removal is recorded, no decode that began before can be put, and
    // what had been put is deleted.
    const removed = await this.#database.withVinLocked(vin, async (run) => {
      await run(RECORD_REMOVAL, [vin, vin, this.#now()]);
      return (await run(DELETE_VEHICLES, [vin])) > 0;
    });
    await this.#database.flush();
    return removed;
  }

  async sweep(cutoffs: SweepCutoffs, limit: number): Promise<number> {
    const { em } = this.#database;
    if (!(await this.#database.waitForRoom())) {
      return 0;
    }
    const swept = await sweepVehicles(em, cutoffs, limit);
    await sweepRemovals(em, this.#now() - KEEP_REMOVALS_MS);
    return swept;
  }

  async ping(): Promise<void> {
    await this.#database.em.execute(PING);
  }

  async discard(): Promise<void> {
    await this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#database[Symbol.asyncDispose]();
  }
}
