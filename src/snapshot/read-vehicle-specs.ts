import type Database from "better-sqlite3";
import type { Attributes } from "./attributes.ts";
import { startsOf } from "./read-wmis.ts";
import type { SpecColumns } from "./vehicle-specs.ts";

const CHANGED_ON = "coalesce(unixepoch(coalesce(p.UpdatedOn, p.CreatedOn), 'subsec'), 0)";

interface SourceValue {
  readonly patternId: number;
  readonly isKey: number;
  readonly elementId: number;
  readonly attributeId: string;
  readonly changedOn: number;
}

/** NHTSA's VehicleSpec tables: the checked schemas only. */
export function readVehicleSpecs(source: Database.Database, attributes: Attributes): SpecColumns {
  const schemas = source
    .prepare<[], { id: number; makeId: number; vehicleTypeId: number }>(`
      SELECT Id AS id, MakeId AS makeId, VehicleTypeId AS vehicleTypeId FROM VehicleSpecSchema
      WHERE coalesce(TobeQCed, 0) = 0 AND VehicleTypeId IS NOT NULL ORDER BY Id`)
    .all();
  const schemaIds = schemas.map(({ id }) => id);
  const places = new Map(schemaIds.map((id, place) => [id, place]));
  const pairs = (sql: string): [owner: number, value: number][] =>
    source.prepare<[], [number, number]>(sql).raw().all();
  const known = (rows: [number, number][]): [number, number][] => rows.filter(([schemaId]) => places.has(schemaId));
  const years = known(
    pairs("SELECT DISTINCT VehicleSpecSchemaId, Year FROM VehicleSpecSchema_Year ORDER BY VehicleSpecSchemaId, Year"),
  );
  const patterns = known(pairs("SELECT SchemaId, Id FROM VSpecSchemaPattern ORDER BY SchemaId, Id"));
  return {
    ...readModels(pairs, places),
    schemas: {
      makeId: Uint32Array.from(schemas, ({ makeId }) => makeId),
      vehicleTypeId: Uint8Array.from(schemas, ({ vehicleTypeId }) => vehicleTypeId),
      yearStart: startsOf(schemaIds, years.map(first)),
      year: Uint16Array.from(years, ([, year]) => year),
      patternStart: startsOf(schemaIds, patterns.map(first)),
    },
    patterns: readPatterns(
      source,
      attributes,
      patterns.map(([, id]) => id),
    ),
  };
}

function readModels(
  pairs: (sql: string) => [number, number][],
  places: ReadonlyMap<number, number>,
): Pick<SpecColumns, "modelStart" | "modelSchema"> {
  const rows = pairs(
    "SELECT DISTINCT ModelId, VehicleSpecSchemaId FROM VehicleSpecSchema_Model ORDER BY ModelId, VehicleSpecSchemaId",
  ).filter(([, schemaId]) => places.has(schemaId));
  const modelCount = (rows.at(-1)?.[0] ?? -1) + 1;
  return {
    modelStart: startsOf(Array(modelCount).keys(), rows.map(first)),
    modelSchema: Uint32Array.from(rows, ([, schemaId]) => places.get(schemaId) ?? 0),
  };
}

/**
 * Reads the table twice: its many values are then written straight into the result, and are in memory once.
 *
 * @param ids the patterns in the order of their schemas.
 */
function readPatterns(
  source: Database.Database,
  attributes: Attributes,
  ids: readonly number[],
): SpecColumns["patterns"] {
  const places = new Map(ids.map((id, place) => [id, place]));
  const keys: number[][] = ids.map(() => []);
  const valueCounts: number[] = ids.map(() => 0);
  const impossible = new Set<number>();
  const seen = new Set<string>();
  for (const { place, isKey, elementId, attributeId, attribute } of rowsOf(source, attributes, places)) {
    if (!isKey) {
      valueCounts[place] = (valueCounts[place] ?? 0) + (attribute === undefined ? 0 : 1);
      continue;
    }
    // No vehicle can match these patterns: private variables are never decoded, and NHTSA expects two matches for a key
    // that is stated twice.
    const key = `${place} ${elementId} ${attributeId.toLowerCase()}`;
    if (attribute === undefined || seen.has(key)) {
      impossible.add(place);
    } else {
      keys[place]?.push(attribute);
    }
    seen.add(key);
  }
  for (const place of impossible) {
    valueCounts[place] = 0;
  }
  const valueStart = totalsOf(valueCounts);
  const next = valueStart.slice();
  const valueAttribute = new Uint32Array(valueStart.at(-1) ?? 0);
  const valueChangedOn = new Float64Array(valueAttribute.length);
  for (const { place, isKey, attribute, changedOn } of rowsOf(source, attributes, places)) {
    if (!isKey && attribute !== undefined && !impossible.has(place)) {
      const at = next[place] ?? 0;
      valueAttribute[at] = attribute;
      valueChangedOn[at] = changedOn;
      next[place] = at + 1;
    }
  }
  return {
    id: Uint32Array.from(ids),
    keyStart: totalsOf(keys.map((list) => list.length)),
    keyAttribute: Uint32Array.from(keys.flat()),
    valueStart,
    valueAttribute,
    valueChangedOn,
  };
}

interface SpecRow extends Pick<SourceValue, "elementId" | "attributeId" | "changedOn"> {
  /** The index of its pattern. */
  readonly place: number;
  readonly isKey: boolean;
  /** Undefined when the variable is private. */
  readonly attribute: number | undefined;
}

function* rowsOf(
  source: Database.Database,
  attributes: Attributes,
  places: ReadonlyMap<number, number>,
): Generator<SpecRow> {
  const rows = source.prepare<[], SourceValue>(`
    SELECT p.VSpecSchemaPatternId AS patternId, p.IsKey AS isKey, p.ElementId AS elementId,
      p.AttributeId AS attributeId, ${CHANGED_ON} AS changedOn
    FROM VehicleSpecPattern p WHERE p.IsKey IS NOT NULL ORDER BY p.Id`);
  for (const { patternId, isKey, elementId, attributeId, changedOn } of rows.iterate()) {
    const place = places.get(patternId);
    if (place !== undefined) {
      const attribute = attributes.placeOf(elementId, attributeId);
      yield { place, isKey: isKey !== 0, elementId, attributeId, attribute, changedOn };
    }
  }
}

/** The start of each owner's rows when the rows of all owners are concatenated, and the end of the last. */
function totalsOf(counts: readonly number[]): Uint32Array {
  let total = 0;
  return Uint32Array.from([0, ...counts.map((count) => (total += count))]);
}

function first([owner]: readonly [number, number]): number {
  return owner;
}
