import type {
  CachedVehicle,
  Decode,
  SweepCutoffs,
  VehicleQuery,
  VehicleStore,
  View,
} from "../../src/vehicle/vehicle.ts";
import { isDecoded } from "../../src/vehicle/vehicle.ts";
import type { Vin } from "../../src/vehicle/vin.ts";

interface Entry {
  readonly query: VehicleQuery;
  readonly decode: Decode;
}

/** The data that several stores may share, as processes share a database. */
export class MemoryDatabase {
  readonly entries = new Map<string, Entry>();
  /** Records of removals are kept forever. */
  readonly removals = new Map<Vin, number>();
}

/** The simplest store that meets the contract, for tests of code that uses a store. */
export class MemoryStore implements VehicleStore, AsyncDisposable {
  readonly #database: MemoryDatabase;
  /** How many times `find` and `findMany` were called. */
  reads = 0;

  constructor(database = new MemoryDatabase()) {
    this.#database = database;
  }

  get entries(): ReadonlyMap<string, Entry> {
    return this.#database.entries;
  }

  async find(query: VehicleQuery, view: View): Promise<CachedVehicle | undefined> {
    this.reads++;
    return this.#read(query, view);
  }

  async findMany(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]> {
    this.reads++;
    return queries.map((query) => this.#read(query, view));
  }

  async removalsOf(vin: Vin): Promise<number> {
    return this.#database.removals.get(vin) ?? 0;
  }

  async put(query: VehicleQuery, decode: Decode, removals: number | undefined): Promise<boolean> {
    const old = this.entries.get(keyOf(query));
    const isOutranked = old?.decode.source === "vpic" && decode.source === "snapshot";
    if (isOutranked || removals !== (this.#database.removals.get(query.vin) ?? 0)) {
      return false;
    }
    this.#database.entries.set(keyOf(query), { query, decode: toStored(decode) });
    return true;
  }

  async remove(vin: Vin): Promise<boolean> {
    const { entries, removals } = this.#database;
    removals.set(vin, (removals.get(vin) ?? 0) + 1);
    const keys = [...entries].filter(([, entry]) => entry.query.vin === vin).map(([key]) => key);
    keys.forEach((key) => entries.delete(key));
    return keys.length > 0;
  }

  async sweep(cutoffs: SweepCutoffs, limit: number): Promise<number> {
    const old = [...this.entries.values()]
      .filter(({ decode }) => decode.decodedAt < cutoffOf(decode, cutoffs))
      .toSorted((a, b) => a.decode.decodedAt - b.decode.decodedAt)
      .slice(0, limit);
    old.forEach(({ query }) => this.#database.entries.delete(keyOf(query)));
    return old.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #read(query: VehicleQuery, view: View): CachedVehicle | undefined {
    const decode = this.entries.get(keyOf(query))?.decode;
    return decode === undefined || view === "full" ? decode : { ...decode, attributes: undefined };
  }
}

function keyOf(query: VehicleQuery): string {
  return `${query.vin} ${query.modelYear ?? ""}`;
}

function cutoffOf(decode: Decode, cutoffs: SweepCutoffs): number {
  if (decode.source === "snapshot") {
    return cutoffs.snapshot;
  }
  return isDecoded(decode) ? cutoffs.vpic : cutoffs.negative;
}

/** Replaces characters that a database cannot store. */
function toStored(decode: Decode): Decode {
  return { ...decode, make: toText(decode.make), model: toText(decode.model) };
}

function toText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}
