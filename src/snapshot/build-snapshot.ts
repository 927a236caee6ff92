import type Database from "better-sqlite3";
import { Attributes, printed, Texts } from "./attributes.ts";
import type { Conversion } from "./conversions.ts";
import { readElements, readLabels } from "./elements.ts";
import { KeyCollector } from "./pattern-keys.ts";
import { readEngineModels, readPatterns } from "./read-patterns.ts";
import { embeddedRules, readRules } from "./read-rules.ts";
import { readVehicleSpecs } from "./read-vehicle-specs.ts";
import { readWmis } from "./read-wmis.ts";
import type { SnapshotContent } from "./snapshot-content.ts";
import { SnapshotError } from "./snapshot-error.ts";
import { openSource, requireColumns } from "./source-tables.ts";
import { CharacterCollector } from "./valid-characters.ts";

const ISO_DATE_LENGTH = 10;

/**
 * Converts NHTSA's database into the form for decoding.
 *
 * @param sourcePath NHTSA's database as SQLite. It may be changed, so pass a copy.
 * @param addPatterns called with some of the records of patterns at a time; see PatternRecords.
 * @param rowsAtOnce see readPatterns.
 * @throws SnapshotError when the source is not such a database.
 */
export function buildSnapshot(
  sourcePath: string,
  addPatterns: (records: Uint8Array) => void,
  rowsAtOnce?: number,
): Omit<SnapshotContent, "patterns"> {
  using source = openSource(sourcePath);
  const isComplete = requireColumns(source);
  const elements = readElements(source);
  const texts = new Texts();
  const labels = readLabels(source, elements);
  const attributes = new Attributes(texts, labels);
  const keys = new KeyCollector();
  const { schemaPlaces, ...wmisAndLinks } = readWmis(source, texts);
  const characters = new CharacterCollector(isComplete ? schemaPlaces.size : 0);
  const { changedLast, ...patterns } = readPatterns(
    source,
    schemaPlaces,
    attributes,
    keys,
    characters,
    addPatterns,
    rowsAtOnce,
  );
  if (patterns.groups.key.length === 0) {
    throw new SnapshotError("database", "it has no patterns to decode with");
  }
  const withLookup = new Set(elements.flatMap(({ id, lookupTable }) => (lookupTable === null ? [] : id)));
  return {
    dataDate: new Date(changedLast * 1_000).toISOString().slice(0, ISO_DATE_LENGTH),
    isComplete,
    elements: elements.map(({ id, code, weight }) => ({ id, code, weight: weight ?? 0 })),
    conversions: readConversions(source),
    ...wmisAndLinks,
    ...patterns,
    keys: keys.collected(),
    engineModels: readEngineModels(source, attributes),
    characters: characters.words,
    specs: isComplete ? readVehicleSpecs(source, attributes) : undefined,
    ...(isComplete ? readRules(source, labels, withLookup) : embeddedRules(labels)),
    attributes: attributes.collected(),
    models: readModels(source, texts),
    texts: texts.collected(),
  };
}

function readConversions(source: Database.Database): Conversion[] {
  return source
    .prepare<[], Conversion>(`
      SELECT Id AS id, FromElementId AS fromElementId, ToElementId AS toElementId, Formula AS formula
      FROM Conversion ORDER BY Id`)
    .all();
}

function readModels(source: Database.Database, texts: Texts): SnapshotContent["models"] {
  const rows = source
    .prepare<[], readonly [number, number, string]>(`
      SELECT mm.ModelId, k.Id, k.Name
      FROM (SELECT ModelId, MakeId, min(Id) FROM Make_Model GROUP BY ModelId) mm JOIN Make k ON k.Id = mm.MakeId`)
    .raw()
    .all();
  const size = rows.reduce((end, [modelId]) => Math.max(end, modelId + 1), 0);
  const models = { makeId: new Uint32Array(size), make: new Uint32Array(size) };
  for (const [modelId, makeId, make] of rows) {
    models.makeId[modelId] = makeId;
    models.make[modelId] = texts.placeOf(printed(make.toUpperCase()));
  }
  return models;
}
