import type { Conversion } from "./conversions.ts";
import type { ErrorMeaning } from "./nhtsa-tables.ts";
import type { PatternKeys } from "./pattern-keys.ts";
import type { PatternGroups, PatternRecords } from "./pattern-records.ts";
import type { SpecColumns } from "./vehicle-specs.ts";
import type { Item } from "./winners.ts";

/** A variable of vPIC. */
interface Element {
  readonly id: number;
  /** Its name in vPIC's flat answers, such as `EngineCylinders`. */
  readonly code: string;
  /** The weight of a known variable when two passes are compared. */
  readonly weight: number;
}

/** A pattern that belongs to an engine model. */
export interface EngineModelPattern {
  /** An index of the attributes. */
  readonly attribute: number;
  readonly changedOn: number;
  readonly id: number;
}

/** A pattern with `#` for digits, whose value is read from the VIN. */
export interface FormulaPattern extends EngineModelPattern {
  readonly keys: string;
}

/**
 * NHTSA's data in the form for decoding: the content of the unpacked file. Most of it is stored in columns, and rows
 * are identified by their index. Where rows of one table belong to a row of another, those of row i begin at `start[i]`
 * and end before `start[i + 1]`.
 */
export interface SnapshotContent extends PatternGroups {
  /**
   * The date of the latest change in the data, such as `2026-02-17`, or the month of NHTSA's file, such as `2026-10`.
   */
  readonly dataDate: string;
  /**
   * Whether it is all of NHTSA's data, as in its monthly file. Otherwise the snapshot claims nothing that depends on
   * what is missing.
   */
  readonly isComplete: boolean;
  readonly elements: readonly Element[];
  readonly conversions: readonly Conversion[];
  /** Each text once; other columns have indexes into this list. The first text is empty. */
  readonly texts: readonly string[];
  /** Every value that a variable can have. */
  readonly attributes: {
    readonly elementId: Uint16Array;
    /** See {@link Item.attributeId} and {@link Item.value}. */
    readonly id: Uint32Array;
    readonly value: Uint32Array;
  };
  /** The make of each model, by the model's id; 0 when unknown. */
  readonly models: {
    readonly makeId: Uint32Array;
    readonly make: Uint32Array;
  };
  /** World manufacturer identifiers. */
  readonly wmis: {
    readonly code: readonly string[];
    /** When NHTSA makes it public, in ms since the epoch; NaN when it stays private. */
    readonly availableOn: Float64Array;
    readonly vehicleTypeId: Uint8Array;
    readonly vehicleType: Uint32Array;
    readonly truckTypeId: Uint8Array;
    readonly manufacturerId: Uint32Array;
    readonly manufacturer: Uint32Array;
    /** The only make under this identifier; empty when there are several or none. */
    readonly makeId: Uint32Array;
    readonly make: Uint32Array;
    readonly linkStart: Uint32Array;
    readonly makeStart: Uint32Array;
  };
  /** The ids of all makes of each identifier. */
  readonly wmiMakes: Uint32Array;
  /** The schemas of each identifier. */
  readonly links: {
    readonly schema: Uint32Array;
    readonly yearFrom: Uint16Array;
    readonly yearTo: Uint16Array;
  };
  /** The input of {@link ValidCharacters}; empty when the data is not complete. */
  readonly characters: Uint32Array;
  readonly patterns: PatternRecords;
  readonly keys: PatternKeys;
  /** By schema; there are few in all the data. */
  readonly formulas: ReadonlyMap<number, readonly FormulaPattern[]>;
  /** By name, in lower case. */
  readonly engineModels: ReadonlyMap<string, readonly EngineModelPattern[]>;
  /** The default values, by vehicle type. */
  readonly defaults: ReadonlyMap<number, readonly Item[]>;
  /** Undefined when the data is not complete. */
  readonly specs: SpecColumns | undefined;
  /** The model year that NHTSA sets for a descriptor. It overrides all rules. */
  readonly descriptors: ReadonlyMap<string, number>;
  /** Vehicles whose wrong check digit NHTSA exempts. */
  readonly exceptedVins: ReadonlySet<string>;
  readonly errorCodes: ReadonlyMap<number, ErrorMeaning>;
}
