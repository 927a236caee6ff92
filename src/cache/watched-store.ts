import type { CachedVehicle, Decode, SweepCutoffs, VehicleQuery, View } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import type { OpenedStore } from "./opened-store.ts";
import type { SqliteFile } from "./sqlite-file.ts";

/** Reads look at the file only so often. */
const READ_CHECK_INTERVAL_MS = 1_000;

export interface WatchedStoreOptions {
  readonly file: SqliteFile;
  /** A clock that only goes forward, in ms. */
  readonly elapsedMs: () => number;
  /** Puts the file away, if it is still in its place. */
  readonly quarantine: () => Promise<void>;
}

/**
 * A store that knows when its SQLite file is no longer the one at its path. A removal that went into a lost file is not
 * acknowledged: other processes have a new one.
 */
export class WatchedStore implements OpenedStore {
  readonly #store: OpenedStore;
  readonly #options: WatchedStoreOptions;
  #checkedAt: number;

  constructor(store: OpenedStore, options: WatchedStoreOptions) {
    this.#store = store;
    this.#options = options;
    this.#checkedAt = options.elapsedMs();
  }

  async find(query: VehicleQuery, view: View): Promise<CachedVehicle | undefined> {
    this.#checkSometimes();
    return this.#store.find(query, view);
  }

  async findMany(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]> {
    this.#checkSometimes();
    return this.#store.findMany(queries, view);
  }

  async removalsOf(vin: Vin): Promise<number | undefined> {
    this.#check();
    return this.#store.removalsOf(vin);
  }

  async put(query: VehicleQuery, decode: Decode, removals: number | undefined): Promise<boolean> {
    this.#check();
    return this.#store.put(query, decode, removals);
  }

  async remove(vin: Vin): Promise<boolean> {
    this.#check();
    const removed = await this.#store.remove(vin);
    this.#check();
    return removed;
  }

  async sweep(cutoffs: SweepCutoffs, limit: number): Promise<number> {
    this.#check();
    return this.#store.sweep(cutoffs, limit);
  }

  async ping(): Promise<void> {
    this.#check();
    await this.#store.ping();
  }

  async discard(): Promise<void> {
    await this.#store.discard();
    await this.#options.quarantine();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }

  #checkSometimes(): void {
    if (this.#options.elapsedMs() - this.#checkedAt >= READ_CHECK_INTERVAL_MS) {
      this.#check();
    }
  }

  #check(): void {
    this.#checkedAt = this.#options.elapsedMs();
    this.#options.file.assertInPlace();
  }
}
