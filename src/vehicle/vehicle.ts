import type { Vin } from "./vin.ts";

/** Who decodes a VIN: the live vPIC web API, or the embedded copy of NHTSA's database. */
export type SourceName = "vpic" | "snapshot";

/** How much of a vehicle to return: everything but the attributes, or everything. */
export type View = "basic" | "full";

/** The query of a lookup and the key of the cache: a VIN, with the model year if the caller gave one. */
export interface VehicleQuery {
  readonly vin: Vin;
  /** A hint that takes precedence over the year that the VIN implies. Never guessed. */
  readonly modelYear?: number | undefined;
}

/** vPIC's own judgement of a VIN, passed on. Texts are empty when there is nothing to say. */
export interface Verdict {
  /** vPIC's error codes, ascending. */
  readonly codes: readonly number[];
  readonly text: string;
  readonly suggestedVin: string;
  readonly possibleValues: string;
  readonly additionalText: string;
}

/** Every other vPIC variable that has a value, by its name in vPIC's flat answers (`EngineCylinders`). */
export type Attributes = Readonly<Record<string, string>>;

/** A vehicle without its attributes. Strings are as vPIC writes them, trimmed, and empty when vPIC has none. */
export interface Vehicle {
  readonly vin: Vin;
  readonly make: string;
  readonly model: string;
  readonly modelYear: string;
  readonly bodyClass: string;
  readonly source: SourceName;
  /** When the source decoded it, in ms since the epoch. */
  readonly decodedAt: number;
  readonly verdict: Verdict;
  /** Our own guess at the intended VIN; undefined when there is none. Never acted on. */
  readonly likelyVin?: string | undefined;
  /** The date of NHTSA's data, such as `2026-02-17`; undefined when vPIC decoded it. */
  readonly dataDate?: string | undefined;
}

/** A source's answer for a VIN, even for one that it cannot decode: see {@link isDecoded}. */
export interface Decode extends Vehicle {
  readonly attributes: Attributes;
}

/** An entry of the store; attributes are only in the full view. */
export interface CachedVehicle extends Vehicle {
  readonly attributes?: Attributes | undefined;
}

/** Whether the source knew make, model or year. Otherwise the decode is stored as a negative entry. */
export function isDecoded(vehicle: Vehicle): boolean {
  return vehicle.make !== "" || vehicle.model !== "" || vehicle.modelYear !== "";
}

/** Decodes VINs. */
export interface VehicleSource {
  readonly name: SourceName;
  /** Why the source cannot answer now, if it knows without asking. Default: it does not know. */
  readonly refusalOf?: (vin: Vin) => Error | undefined;
  /**
   * @param signal aborted when no caller waits for the answer any more or the process stops.
   * @throws SourceUnavailableError when the source cannot answer now; the reason of `signal` when aborted.
   */
  decode(query: VehicleQuery, signal: AbortSignal): Promise<Decode>;
}

/**
 * Stores decodes. Its faults are thrown as StoreUnavailableError.
 *
 * A Remove must win over a decode in flight, in this process or another. So a caller reads `removalsOf` before it
 * starts a decode and passes the number to `put`, which does nothing if the VIN has been removed since.
 */
export interface VehicleStore {
  /** The entry with exactly this key, or undefined. A result that is ready is not wrapped in a promise. */
  find(query: VehicleQuery, view: View): CachedVehicle | undefined | Promise<CachedVehicle | undefined>;
  /** The entries of these keys, in their order. */
  findMany(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]>;
  /**
   * A number that grows with each removal of the VIN, for decodes in flight; undefined when the store does not know it,
   * so that the decode cannot be stored.
   */
  removalsOf(vin: Vin): Promise<number | undefined>;
  /**
   * Stores a decode under its query. A decode of the snapshot never overwrites one of vPIC.
   *
   * @param removals the result of `removalsOf` from before the decode began; with undefined nothing is stored.
   * @returns whether it was stored.
   */
  put(query: VehicleQuery, decode: Decode, removals: number | undefined): Promise<boolean>;
  /**
   * Removes every entry of the VIN, with and without a year, including negative ones. When it returns, they are gone
   * for good.
   *
   * @returns whether there was one.
   */
  remove(vin: Vin): Promise<boolean>;
  /**
   * Deletes expired entries, oldest first, and records of removals that no decode can still need.
   *
   * @returns how many entries were deleted; when it equals the limit there may be more.
   */
  sweep(cutoffs: SweepCutoffs, limit: number): Promise<number>;
}

/** Entries decoded before these times (ms since the epoch) have expired. */
export interface SweepCutoffs {
  readonly vpic: number;
  /** vPIC's entries for VINs that it could not decode. */
  readonly negative: number;
  readonly snapshot: number;
}
