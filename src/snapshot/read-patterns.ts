import type Database from "better-sqlite3";
import type { Attributes } from "./attributes.ts";
import { ELEMENTS_NOT_FROM_PATTERNS } from "./nhtsa-tables.ts";
import type { KeyCollector } from "./pattern-keys.ts";
import { PatternGrouper, PatternRows } from "./pattern-records.ts";
import type { EngineModelPattern, FormulaPattern, SnapshotContent } from "./snapshot-content.ts";
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
/** More patterns are read in several passes, to limit the memory. */
const ROWS_AT_ONCE = 1_000_000;

interface SourcePattern {
  readonly id: number;
  readonly elementId: number;
  readonly attributeId: string;
  readonly changedOn: number;
  readonly schemaId: number;
  readonly keys: string;
}

/**
 * The patterns of public variables and schemas that a VIN can match.
 *
 * @param schemaPlaces the index of each schema by its id. Both are ascending.
 * @param addPatterns called with the records of patterns, portion by portion.
 * @param rowsAtOnce the size of a portion, which has at least one schema. Default: 1,000,000.
 * @returns also when the last of them was changed, in seconds since the epoch.
 */
export function readPatterns(
  source: Database.Database,
  schemaPlaces: ReadonlyMap<number, number>,
  attributes: Attributes,
  keys: KeyCollector,
  characters: CharacterCollector,
  addPatterns: (records: Uint8Array) => void,
  rowsAtOnce = ROWS_AT_ONCE,
): Pick<SnapshotContent, "schemas" | "groups" | "formulas"> & { changedLast: number } {
  const isPublic = new Set(source.prepare<[], number>(PUBLIC_SCHEMAS).pluck().all());
  const publicPlaces = new Map([...schemaPlaces].filter(([id]) => isPublic.has(id)));
  const size = Number(source.prepare("SELECT count(*) FROM Pattern").pluck().get());
  const portions = portionsOf(source, [...schemaPlaces.keys()], size, rowsAtOnce);
  const sizeAtOnce = Math.max(...portions.map((portion) => portion.size));
  const grouper = new PatternGrouper(schemaPlaces.size, size, sizeAtOnce, addPatterns);
  const rows = new PatternRows(sizeAtOnce);
  const formulas = new Map<number, FormulaPattern[]>();
  let changedLast = 0;
  for (const portion of portions) {
    rows.count = 0;
    for (const { id, elementId, attributeId, changedOn, schemaId, keys: text } of patternsOf(source, portion)) {
      // The allowed characters follow from all patterns, including those that are not decoded.
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
        rows.schema[rows.count] = schema;
        rows.key[rows.count] = key;
        rows.attribute[rows.count] = attribute;
        rows.changedOn[rows.count] = changedOn;
        rows.id[rows.count] = id;
        rows.count++;
        changedLast = Math.max(changedLast, changedOn);
      }
    }
    grouper.take(rows, portion.placeEnd);
  }
  return { ...grouper.collected(), formulas, changedLast };
}

/** Schemas with consecutive indexes, whose patterns are in memory at the same time. */
interface Portion {
  readonly firstId: number;
  readonly lastId: number;
  /** The number of their patterns, at most. */
  readonly size: number;
  /** The index after the last of these schemas. */
  readonly placeEnd: number;
}

function portionsOf(
  source: Database.Database,
  schemaIds: readonly number[],
  size: number,
  rowsAtOnce: number,
): Portion[] {
  const toPortion = (from: number, placeEnd: number, rows: number): Portion => ({
    firstId: schemaIds[from] ?? 0,
    lastId: schemaIds[placeEnd - 1] ?? 0,
    size: rows,
    placeEnd,
  });
  if (size <= rowsAtOnce) {
    return [toPortion(0, schemaIds.length, size)];
  }
  const counts = new Map<number, number>();
  for (const id of source.prepare<[], number>("SELECT VinSchemaId FROM Pattern").pluck().iterate()) {
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  const portions: Portion[] = [];
  let from = 0;
  let rows = 0;
  for (const [place, id] of schemaIds.entries()) {
    const count = counts.get(id) ?? 0;
    if (rows + count > rowsAtOnce) {
      portions.push(toPortion(from, place, rows));
      from = place;
      rows = 0;
    }
    rows += count;
  }
  return [...portions, toPortion(from, schemaIds.length, rows)];
}

/** The patterns of some schemas, in chunks: faster than row by row, and with less memory than all at once. */
function* patternsOf(source: Database.Database, { firstId, lastId }: Portion): Generator<SourcePattern> {
  const lastRow = Number(source.prepare("SELECT max(rowid) FROM Pattern").pluck().get());
  const chunk = source.prepare<[number, number, number, number], SourcePattern>(`
    SELECT p.Id AS id, p.ElementId AS elementId, p.AttributeId AS attributeId, ${CHANGED_ON} AS changedOn,
      p.VinSchemaId AS schemaId, p.Keys AS keys
    FROM Pattern p WHERE rowid BETWEEN ? AND ? AND VinSchemaId BETWEEN ? AND ?`);
  for (let row = 1; row <= lastRow; row += ROWS_PER_CHUNK) {
    yield* chunk.all(row, row + ROWS_PER_CHUNK - 1, firstId, lastId);
  }
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
