import type { Conversion } from "./conversions.ts";
import type { ErrorMeaning } from "./nhtsa-tables.ts";
import { KeyMatcher } from "./pattern-keys.ts";
import type { FormulaPattern, SnapshotContent } from "./snapshot-content.ts";
import { ValidCharacters } from "./valid-characters.ts";
import { findSpecs, isNewerSpec, type SpecSubject, type SpecValue } from "./vehicle-specs.ts";
import type { Item } from "./winners.ts";

export interface Make {
  /** 0 when unknown. */
  readonly makeId: number;
  readonly make: string;
}

/** A world manufacturer identifier and the properties of every vehicle with it. All ids are 0 when unknown. */
export interface Wmi extends Make {
  /** Its index in the data. */
  readonly place: number;
  /** When NHTSA makes it public, in ms since the epoch; NaN when it stays private. */
  readonly availableOn: number;
  readonly vehicleTypeId: number;
  readonly vehicleType: string;
  readonly truckTypeId: number;
  readonly manufacturerId: number;
  readonly manufacturer: string;
}

const ENGINE_MODEL_PRIORITY = 50;
const FORMULA_PRIORITY = 100;
/** Below everything that a VIN's own patterns give. */
const SPEC_PRIORITY = -100;

/** The members that an item takes from its pattern and the pattern's keys. */
type PatternFacts = Pick<Item, "changedOn" | "id" | "keyRank" | "positions">;

/** The data, with the look-ups that decoding needs. */
export class SnapshotData {
  readonly dataDate: string;
  /** See {@link SnapshotContent.isComplete}. */
  readonly isComplete: boolean;
  readonly conversions: readonly Conversion[];
  readonly errorCodes: ReadonlyMap<number, ErrorMeaning>;
  readonly #content: SnapshotContent;
  readonly #wmis: ReadonlyMap<string, number>;
  readonly #names: (string | undefined)[] = [];
  readonly #weights: number[] = [];
  readonly #matcher: KeyMatcher;

  constructor(content: SnapshotContent) {
    this.dataDate = content.dataDate;
    this.isComplete = content.isComplete;
    this.conversions = content.conversions;
    this.errorCodes = content.errorCodes;
    this.#content = content;
    this.#matcher = new KeyMatcher(content.keys);
    this.#wmis = new Map(content.wmis.code.map((code, place) => [code, place]));
    for (const { id, code, weight } of content.elements) {
      this.#names[id] = code;
      this.#weights[id] = weight;
    }
  }

  /** The number of rows of each kind, for the command line. */
  counts(): Readonly<Record<string, number>> {
    const { elements, wmis, schemas, patterns, models, specs } = this.#content;
    return {
      "manufacturer identifiers": wmis.code.length,
      "pattern schemas": schemas.groupStart.length - 1,
      patterns: patterns.length,
      models: models.makeId.filter((makeId) => makeId !== 0).length,
      variables: elements.length,
      ...(specs === undefined ? {} : { "vehicle specification patterns": specs.patterns.id.length }),
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
    const positions = positionsOf(pattern.keys);
    const { attribute, changedOn, id } = pattern;
    return { ...this.#toItem(attribute, FORMULA_PRIORITY, { changedOn, id, keyRank: 0, positions }), value };
  }

  /**
   * The values that belong to an engine model, found by its name in any case. They have the rank of the key that gave
   * the name.
   */
  engineModelPatterns(engine: Item): Item[] {
    const patterns = this.#content.engineModels.get(engine.attributeId.trim().toLowerCase()) ?? [];
    const { keyRank, positions } = engine;
    return patterns.map(({ attribute, changedOn, id }) =>
      this.#toItem(attribute, ENGINE_MODEL_PRIORITY, { changedOn, id, keyRank, positions }),
    );
  }

  /** The values that NHTSA has for the make, model, type and year, one for each variable. */
  specsFor(subject: SpecSubject, hasValue: (elementId: number, attributeId: string) => boolean): Item[] {
    const { specs, attributes } = this.#content;
    if (specs === undefined) {
      return [];
    }
    const hasAttribute = (attribute: number): boolean =>
      hasValue(at(attributes.elementId, attribute), this.#text(at(attributes.id, attribute)));
    const newest = new Map<number, SpecValue>();
    for (const spec of findSpecs(specs, subject, hasAttribute)) {
      const elementId = at(attributes.elementId, spec.attribute);
      const best = newest.get(elementId);
      if (best === undefined || isNewerSpec(spec, best)) {
        newest.set(elementId, spec);
      }
    }
    return Array.from(newest.values(), ({ attribute, changedOn, patternId }) => ({
      ...this.#toItem(attribute, SPEC_PRIORITY, { changedOn, id: patternId, keyRank: 0, positions: 0 }),
      isPattern: false,
    }));
  }

  /** The ids of the makes under an identifier. */
  makesOf(wmi: Wmi): readonly number[] {
    const { wmis, wmiMakes } = this.#content;
    return Array.from(wmiMakes.subarray(at(wmis.makeStart, wmi.place), at(wmis.makeStart, wmi.place + 1)));
  }

  /**
   * The characters that NHTSA allows at each position for this identifier and year. Without a year, all are allowed.
   */
  validCharacters(wmi: Wmi, year: number | undefined): ValidCharacters {
    const { characters, links } = this.#content;
    const schemas = year === undefined ? [] : this.#linksOf(wmi, year).map((link) => at(links.schema, link));
    return new ValidCharacters(characters, schemas);
  }

  /** The model year that NHTSA sets for a descriptor; undefined for almost all. */
  yearOfDescriptor(descriptor: string): number | undefined {
    return this.#content.descriptors.get(descriptor);
  }

  /** Whether NHTSA's list of wrong check digits has this VIN. */
  isExcepted(vin: string): boolean {
    return this.#content.exceptedVins.has(vin);
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
    const key = at(groups.key, group);
    // Only complete data says which positions should be used.
    const positions = this.isComplete ? this.#matcher.positionsOf(key) : 0;
    const keyRank = this.#matcher.rankOf(key);
    const end = at(groups.patternStart, group + 1);
    for (let i = at(groups.patternStart, group); i < end; i++) {
      const facts = { changedOn: patterns.changedOn(i), id: patterns.id(i), keyRank, positions };
      items.push(this.#toItem(patterns.attribute(i), priority, facts));
    }
  }

  #toItem(attribute: number, priority: number, { changedOn, id, keyRank, positions }: PatternFacts): Item {
    const { attributes } = this.#content;
    return {
      elementId: attributes.elementId[attribute] ?? 0,
      attributeId: this.#text(attributes.id[attribute] ?? 0),
      value: this.#text(attributes.value[attribute] ?? 0),
      isPattern: true,
      priority,
      changedOn,
      keyRank,
      positions,
      id,
    };
  }

  #text(place: number): string {
    return this.#content.texts[place] ?? "";
  }
}

/** See {@link Item.positions}. */
function positionsOf(keys: string): number {
  return Array.from(keys).reduce((positions, text, index) => (text === "*" ? positions : positions | (1 << index)), 0);
}

function at(column: Uint8Array | Uint16Array | Uint32Array, place: number): number {
  return column[place] ?? 0;
}
