import type { CachedVehicle, Decode, SweepCutoffs, VehicleQuery, VehicleStore, View } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import { FaultGate, type FaultGateOptions } from "./fault-gate.ts";

/** How many operations failed or were left out because of a fault, since the start. */
export interface StoreFaults {
  readonly reads: number;
  readonly writes: number;
}

export interface ForgivingStoreOptions extends Pick<FaultGateOptions, "logger" | "elapsedMs"> {
  /** After a fault, reads are misses without asking for so long, in ms. */
  readonly retryReadsAfterMs: number;
  /** After a fault, writes are dropped without asking for so long, in ms. */
  readonly retryWritesAfterMs: number;
  /** More reads than these wait: many at once must not be taken for a fault. */
  readonly maxConcurrentReads: number;
  readonly maxConcurrentWrites: number;
}

/**
 * A store whose faults do not fail a Lookup: a read that fails is a miss, a write that fails is dropped. Only `remove`
 * reports its faults.
 */
export class ForgivingStore implements VehicleStore {
  readonly #store: VehicleStore;
  readonly #reads: FaultGate;
  readonly #writes: FaultGate;

  constructor(store: VehicleStore, options: ForgivingStoreOptions) {
    const { logger, elapsedMs, retryReadsAfterMs, retryWritesAfterMs } = options;
    this.#store = store;
    this.#reads = new FaultGate({
      maxConcurrent: options.maxConcurrentReads,
      message: "reads of the cache fail",
      retryAfterMs: retryReadsAfterMs,
      logger,
      elapsedMs,
    });
    this.#writes = new FaultGate({
      maxConcurrent: options.maxConcurrentWrites,
      message: "writes to the cache fail",
      retryAfterMs: retryWritesAfterMs,
      logger,
      elapsedMs,
    });
  }

  faults(): StoreFaults {
    return { reads: this.#reads.faults, writes: this.#writes.faults };
  }

  find(query: VehicleQuery, view: View): Promise<CachedVehicle | undefined> {
    return this.#reads.run(
      () => this.#store.find(query, view),
      () => undefined,
    );
  }

  findMany(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]> {
    return this.#reads.run(
      () => this.#store.findMany(queries, view),
      () => queries.map(() => undefined),
    );
  }

  removalsOf(vin: Vin): Promise<number | undefined> {
    return this.#reads.run(
      () => this.#store.removalsOf(vin),
      () => undefined,
    );
  }

  async put(query: VehicleQuery, decode: Decode, removals: number | undefined): Promise<boolean> {
    if (removals === undefined) {
      return false;
    }
    return this.#writes.run(
      () => this.#store.put(query, decode, removals),
      () => false,
    );
  }

  remove(vin: Vin): Promise<boolean> {
    return this.#store.remove(vin);
  }

  sweep(cutoffs: SweepCutoffs, limit: number): Promise<number> {
    return this.#writes.run(
      () => this.#store.sweep(cutoffs, limit),
      () => 0,
    );
  }
}
