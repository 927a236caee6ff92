import type { Conversion } from "./conversions.ts";
import { KeyMatcher, type PatternKeys } from "./pattern-keys.ts";
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
 * are identified by their index. Where rows of one table belong to a row of another, those of row i are `start[i]` to
 * before `start[i + 1]`.
 */
export interface SnapshotContent {
  /**
   * The date of the latest change in the data, such as `2026-02-17`, or the month of NHTSA's file, such as `2026-10`.
   */
  readonly dataDate: string;
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
    /** When NHTSA makes it public, in ms since the epoch; NaN when it is not to be. */
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
  };
  /** The schemas of each identifier. */
  readonly links: {
    readonly schema: Uint32Array;
    readonly yearFrom: Uint16Array;
    readonly yearTo: Uint16Array;
  };
  readonly schemas: {
    readonly groupStart: Uint32Array;
  };
  /** Groups of patterns of a schema with the same keys. */
  readonly groups: {
    readonly key: Uint32Array;
    readonly patternStart: Uint32Array;
  };
  readonly patterns: {
    readonly attribute: Uint32Array;
    readonly changedOn: Float64Array;
    readonly id: Uint32Array;
  };
  readonly keys: PatternKeys;
  /** By schema; there are few in all the data. */
  readonly formulas: ReadonlyMap<number, readonly FormulaPattern[]>;
  /** By name, in lower case. */
  readonly engineModels: ReadonlyMap<string, readonly EngineModelPattern[]>;
  /** The default values, by vehicle type. */
  readonly defaults: ReadonlyMap<number, readonly Item[]>;
}

export interface Make {
  /** 0 when unknown. */
  readonly makeId: number;
  readonly make: string;
}

/** A world manufacturer identifier and the properties of every vehicle with it. All ids are 0 when unknown. */
export interface Wmi extends Make {
  /** Its index in the data. */
  readonly place: number;
  /** When NHTSA makes it public, in ms since the epoch; NaN when it is not to be. */
  readonly availableOn: number;
  readonly vehicleTypeId: number;
  readonly vehicleType: string;
  readonly truckTypeId: number;
  readonly manufacturerId: number;
  readonly manufacturer: string;
}

const ENGINE_MODEL_PRIORITY = 50;
const FORMULA_PRIORITY = 100;

/** The data, with the look-ups that decoding needs. */
export class SnapshotData {
  readonly dataDate: string;
  readonly conversions: readonly Conversion[];
  readonly #content: SnapshotContent;
  readonly #wmis: ReadonlyMap<string, number>;
  readonly #names: (string | undefined)[] = [];
  readonly #weights: number[] = [];
  readonly #matcher: KeyMatcher;

  constructor(content: SnapshotContent) {
    this.dataDate = content.dataDate;
    this.conversions = content.conversions;
    this.#content = content;
    this.#matcher = new KeyMatcher(content.keys);
    this.#wmis = new Map(content.wmis.code.map((code, place) => [code, place]));
    for (const { id, code, weight } of content.elements) {
      this.#names[id] = code;
      this.#weights[id] = weight;
    }
  }

  /** How much there is of what; for people. */
  counts(): Readonly<Record<string, number>> {
    const { elements, wmis, schemas, patterns, models } = this.#content;
    return {
      "manufacturer identifiers": wmis.code.length,
      "pattern schemas": schemas.groupStart.length - 1,
      patterns: patterns.id.length,
      models: models.makeId.filter((makeId) => makeId !== 0).length,
      variables: elements.length,
    };
  }

  /** The identifier, of three or six characters; undefined when NHTSA does not know it. */
  wmi(code: string): Wmi | undefined {
    const place = this.#wmis.get(code);
    if (place === undefined) {
      return undefined;
    }
    const { wmis } = this.#content;
    return {
      place,
      availableOn: wmis.availableOn[place] ?? Number.NaN,
      vehicleTypeId: at(wmis.vehicleTypeId, place),
      vehicleType: this.#text(at(wmis.vehicleType, place)),
      truckTypeId: at(wmis.truckTypeId, place),
      manufacturerId: at(wmis.manufacturerId, place),
      manufacturer: this.#text(at(wmis.manufacturer, place)),
      makeId: at(wmis.makeId, place),
      make: this.#text(at(wmis.make, place)),
    };
  }

  /** Whether NHTSA has patterns for this identifier and year. */
  coversYear(wmi: Wmi, year: number): boolean {
    return this.#linksOf(wmi, year).length > 0;
  }

  /** The patterns that match a VIN; of all years when the year is unknown. */
  matchingPatterns(wmi: Wmi, year: number | undefined, vin: string): Item[] {
    const { schemas, groups } = this.#content;
    this.#matcher.setVin(vin);
    const items: Item[] = [];
    for (const link of this.#linksOf(wmi, year)) {
      const schema = at(this.#content.links.schema, link);
      const yearFrom = at(this.#content.links.yearFrom, link);
      const end = at(schemas.groupStart, schema + 1);
      for (let group = at(schemas.groupStart, schema); group < end; group++) {
        if (this.#matcher.matches(at(groups.key, group))) {
          this.#addPatterns(items, group, yearFrom);
        }
      }
    }
    return items;
  }

  /** All formula patterns of this identifier and year, whether or not they match. */
  formulaPatterns(wmi: Wmi, year: number | undefined): readonly FormulaPattern[] {
    const { formulas, links } = this.#content;
    return this.#linksOf(wmi, year).flatMap((link) => formulas.get(at(links.schema, link)) ?? []);
  }

  /** The value of a formula pattern that matches. */
  toFormulaItem(pattern: FormulaPattern, value: string): Item {
    return { ...this.#toItem(pattern.attribute, FORMULA_PRIORITY, pattern, 0), value };
  }

  /** The values that belong to an engine model, found by its name in any case. They rank by the key that gave the name. */
  engineModelPatterns(engine: Item): Item[] {
    const patterns = this.#content.engineModels.get(engine.attributeId.trim().toLowerCase()) ?? [];
    return patterns.map((pattern) => this.#toItem(pattern.attribute, ENGINE_MODEL_PRIORITY, pattern, engine.keyRank));
  }

  /** NHTSA's default values for a vehicle type. */
  defaultsOf(vehicleTypeId: number): readonly Item[] {
    return this.#content.defaults.get(vehicleTypeId) ?? [];
  }

  /** The make of a model; its id is 0 when unknown. */
  makeOf(modelId: number): Make {
    const { models } = this.#content;
    return { makeId: at(models.makeId, modelId), make: this.#text(at(models.make, modelId)) };
  }

  /** The variable's name in vPIC's flat answers, such as `EngineCylinders`; undefined for those that are not public. */
  nameOf(elementId: number): string | undefined {
    return this.#names[elementId];
  }

  /** The weight of a known variable when two passes are compared. */
  weightOf(elementId: number): number {
    return this.#weights[elementId] ?? 0;
  }

  /** The links of an identifier to the schemas of a year, or of all years when the year is not known. */
  #linksOf(wmi: Wmi, year: number | undefined): number[] {
    const { wmis, links } = this.#content;
    const found: number[] = [];
    const end = at(wmis.linkStart, wmi.place + 1);
    for (let link = at(wmis.linkStart, wmi.place); link < end; link++) {
      if (year === undefined || (year >= at(links.yearFrom, link) && year <= at(links.yearTo, link))) {
        found.push(link);
      }
    }
    return found;
  }

  #addPatterns(items: Item[], group: number, priority: number): void {
    const { groups, patterns } = this.#content;
    const keyRank = this.#matcher.rankOf(at(groups.key, group));
    const end = at(groups.patternStart, group + 1);
    for (let i = at(groups.patternStart, group); i < end; i++) {
      const source = { changedOn: patterns.changedOn[i] ?? 0, id: at(patterns.id, i) };
      items.push(this.#toItem(at(patterns.attribute, i), priority, source, keyRank));
    }
  }

  #toItem(
    attribute: number,
    priority: number,
    { changedOn, id }: { readonly changedOn: number; readonly id: number },
    keyRank: number,
  ): Item {
    const { attributes } = this.#content;
    return {
      elementId: attributes.elementId[attribute] ?? 0,
      attributeId: this.#text(attributes.id[attribute] ?? 0),
      value: this.#text(attributes.value[attribute] ?? 0),
      isPattern: true,
      priority,
      changedOn,
      keyRank,
      id,
    };
  }

  #text(place: number): string {
    return this.#content.texts[place] ?? "";
  }
}

function at(column: Uint8Array | Uint16Array | Uint32Array, place: number): number {
  return column[place] ?? 0;
}
