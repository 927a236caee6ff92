import type Database from "better-sqlite3";
import type { Attributes } from "./attributes.ts";
import { ELEMENTS_NOT_FROM_PATTERNS } from "./nhtsa-tables.ts";
import type { KeyCollector } from "./pattern-keys.ts";
import { startsOf } from "./read-wmis.ts";
import type { EngineModelPattern, FormulaPattern, SnapshotContent } from "./snapshot-content.ts";
import { SnapshotError } from "./snapshot-error.ts";
import type { CharacterCollector } from "./valid-characters.ts";

const CHANGED_ON = "coalesce(unixepoch(coalesce(p.UpdatedOn, p.CreatedOn), 'subsec'), 0)";
/** Checked schemas of public manufacturers. */
const PUBLIC_SCHEMAS = `
  SELECT l.VinSchemaId FROM Wmi_VinSchema l
  JOIN Wmi w ON w.Id = l.WmiId AND w.PublicAvailabilityDate IS NOT NULL
  JOIN VinSchema s ON s.Id = l.VinSchemaId AND coalesce(s.TobeQCed, 0) = 0`;
/** Candidates are ordered by id. The ids of engine models start here, after those of all plain patterns. */
const ENGINE_MODEL_IDS_FROM = 2 ** 30;
const ROWS_PER_CHUNK = 2_000;

interface SourcePattern {
  readonly id: number;
  readonly elementId: number;
  readonly attributeId: string;
  readonly changedOn: number;
  readonly schemaId: number;
  readonly keys: string;
}

/** The patterns in the order of the source; columns may be longer than `count`. */
export interface PatternRows {
  readonly count: number;
  readonly id: Uint32Array;
  readonly schema: Uint32Array;
  readonly key: Uint32Array;
  readonly attribute: Uint32Array;
  readonly changedOn: Float64Array;
}

/** The patterns of public variables and schemas that a VIN can match. */
export function readPatterns(
  source: Database.Database,
  schemaPlaces: ReadonlyMap<number, number>,
  attributes: Attributes,
  keys: KeyCollector,
  characters: CharacterCollector,
): { rows: PatternRows; formulas: Map<number, FormulaPattern[]> } {
  const isPublic = new Set(source.prepare<[], number>(PUBLIC_SCHEMAS).pluck().all());
  const publicPlaces = new Map([...schemaPlaces].filter(([id]) => isPublic.has(id)));
  const size = Number(source.prepare("SELECT count(*) FROM Pattern").pluck().get());
  const columns = {
    id: new Uint32Array(size),
    schema: new Uint32Array(size),
    key: new Uint32Array(size),
    attribute: new Uint32Array(size),
    changedOn: new Float64Array(size),
  };
  const formulas = new Map<number, FormulaPattern[]>();
  let count = 0;
  for (const { id, elementId, attributeId, changedOn, schemaId, keys: text } of patternsOf(source)) {
    // What a VIN may have at a position follows from all patterns, also those that are not decoded.
    characters.add(schemaPlaces.get(schemaId), text);
    const schema = publicPlaces.get(schemaId);
    const isGiven = ELEMENTS_NOT_FROM_PATTERNS.has(elementId);
    const attribute = schema === undefined || isGiven ? undefined : attributes.placeOf(elementId, attributeId);
    if (schema === undefined || attribute === undefined) {
      continue;
    }
    if (text.includes("#")) {
      formulas.set(schema, [...(formulas.get(schema) ?? []), { id, attribute, changedOn, keys: text.toUpperCase() }]);
      continue;
    }
    const key = keys.placeOf(text);
    if (key !== undefined) {
      columns.id[count] = id;
      columns.schema[count] = schema;
      columns.key[count] = key;
      columns.attribute[count] = attribute;
      columns.changedOn[count] = changedOn;
      count++;
    }
  }
  return { rows: { count, ...columns }, formulas };
}

/** All patterns, in chunks: faster than row by row, and with less memory than all at once. */
function* patternsOf(source: Database.Database): Generator<SourcePattern> {
  const lastRow = Number(source.prepare("SELECT max(rowid) FROM Pattern").pluck().get());
  const chunk = source.prepare<[number, number], SourcePattern>(`
    SELECT p.Id AS id, p.ElementId AS elementId, p.AttributeId AS attributeId, ${CHANGED_ON} AS changedOn,
      p.VinSchemaId AS schemaId, p.Keys AS keys
    FROM Pattern p WHERE rowid BETWEEN ? AND ?`);
  for (let row = 1; row <= lastRow; row += ROWS_PER_CHUNK) {
    yield* chunk.all(row, row + ROWS_PER_CHUNK - 1);
  }
}

/** Groups the patterns by schema, and within a schema by keys. */
export function arrange(
  rows: PatternRows,
  schemaCount: number,
  keyCount: number,
): Pick<SnapshotContent, "schemas" | "groups" | "patterns"> {
  const { count } = rows;
  if (schemaCount * keyCount * count > Number.MAX_SAFE_INTEGER) {
    throw new SnapshotError("database", `it has too many patterns: ${count} with ${keyCount} different keys`);
  }
  // One sortable number for each row, by schema and keys: numbers sort many times faster than objects.
  const order = new Float64Array(count);
  for (let row = 0; row < count; row++) {
    order[row] = ((rows.schema[row] ?? 0) * keyCount + (rows.key[row] ?? 0)) * count + row;
  }
  order.sort();
  const patterns = {
    attribute: new Uint32Array(count),
    changedOn: new Float64Array(count),
    id: new Uint32Array(count),
  };
  const groups: { schema: number[]; key: number[]; start: number[] } = { schema: [], key: [], start: [] };
  let lastGroup = -1;
  for (let place = 0; place < count; place++) {
    const sorted = order[place] ?? 0;
    const row = sorted % count;
    const group = (sorted - row) / count;
    if (group !== lastGroup) {
      groups.schema.push(Math.floor(group / keyCount));
      groups.key.push(group % keyCount);
      groups.start.push(place);
      lastGroup = group;
    }
    patterns.attribute[place] = rows.attribute[row] ?? 0;
    patterns.changedOn[place] = rows.changedOn[row] ?? 0;
    patterns.id[place] = rows.id[row] ?? 0;
  }
  return {
    schemas: { groupStart: startsOf(Array(schemaCount).keys(), groups.schema) },
    groups: { key: Uint32Array.from(groups.key), patternStart: Uint32Array.from([...groups.start, count]) },
    patterns,
  };
}

export function readEngineModels(source: Database.Database, attributes: Attributes): Map<string, EngineModelPattern[]> {
  const rows = source
    .prepare<[], readonly [id: number, elementId: number, attributeId: string, changedOn: number, name: string]>(`
      SELECT p.Id, p.ElementId, p.AttributeId, ${CHANGED_ON}, m.Name
      FROM EngineModel m JOIN EngineModelPattern p ON p.EngineModelId = m.Id ORDER BY p.Id`)
    .raw()
    .all();
  const models = new Map<string, EngineModelPattern[]>();
  for (const [id, elementId, attributeId, changedOn, name] of rows) {
    const attribute = attributes.placeOf(elementId, attributeId);
    if (attribute !== undefined) {
      const key = name.trim().toLowerCase();
      models.set(key, [...(models.get(key) ?? []), { id: ENGINE_MODEL_IDS_FROM + id, attribute, changedOn }]);
    }
  }
  return models;
}
