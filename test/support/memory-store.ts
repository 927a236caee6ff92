import type {
  CachedVehicle,
  Decode,
  SweepCutoffs,
  VehicleQuery,
  VehicleStore,
  View,
} from "../../src/vehicle/vehicle.ts";
import type { Vin } from "../../src/vehicle/vin.ts";

/** The simplest store that keeps the contract, for tests of what stands on a store. */
export class MemoryStore implements VehicleStore {
  readonly entries = new Map<string, { readonly query: VehicleQuery; readonly decode: Decode }>();
  readonly #removals = new Map<Vin, number>();
  /** How many times `find` and `findMany` were called. */
  reads = 0;

  async find(query: VehicleQuery, view: View): Promise<CachedVehicle | undefined> {
    this.reads++;
    return this.#read(query, view);
  }

  async findMany(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]> {
    this.reads++;
    return queries.map((query) => this.#read(query, view));
  }

  async removalsOf(vin: Vin): Promise<number> {
    return this.#removals.get(vin) ?? 0;
  }

  async put(query: VehicleQuery, decode: Decode, removals: number | undefined): Promise<boolean> {
    const old = this.entries.get(keyOf(query));
    const isOutranked = old?.decode.source === "vpic" && decode.source === "snapshot";
    if (isOutranked || removals !== (await this.removalsOf(query.vin))) {
      return false;
    }
    this.entries.set(keyOf(query), { query, decode });
    return true;
  }

  async remove(vin: Vin): Promise<boolean> {
    this.#removals.set(vin, (this.#removals.get(vin) ?? 0) + 1);
    const keys = [...this.entries].filter(([, entry]) => entry.query.vin === vin).map(([key]) => key);
    for (const key of keys) {
      this.entries.delete(key);
    }
    return keys.length > 0;
  }

  async sweep(_cutoffs: SweepCutoffs, _limit: number): Promise<number> {
    return 0;
  }

  #read(query: VehicleQuery, view: View): CachedVehicle | undefined {
    const decode = this.entries.get(keyOf(query))?.decode;
    return decode === undefined || view === "full" ? decode : { ...decode, attributes: undefined };
  }
}

function keyOf(query: VehicleQuery): string {
  return `${query.vin} ${query.modelYear ?? ""}`;
}
