import Database from "better-sqlite3";
import type { Conversion } from "./conversions.ts";
import { DEFAULTS, ELEMENTS_NOT_FROM_PATTERNS, RENAMED_LABELS, type Default } from "./nhtsa-tables.ts";
import { KeyCollector } from "./pattern-keys.ts";
import type { EngineModelPattern, FormulaPattern, SnapshotContent } from "./snapshot-data.ts";
import { SnapshotError } from "./snapshot-error.ts";
import type { Item } from "./winners.ts";

/** The columns of NHTSA's database from which the snapshot is built. */
export const SOURCE_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  Conversion: ["Id", "FromElementId", "ToElementId", "Formula"],
  Element: ["Id", "Code", "LookupTable", "IsPrivate", "Decode", "weight"],
  EngineModel: ["Id", "Name"],
  EngineModelPattern: ["Id", "EngineModelId", "ElementId", "AttributeId", "CreatedOn", "UpdatedOn"],
  Make: ["Id", "Name"],
  Make_Model: ["Id", "MakeId", "ModelId"],
  Manufacturer: ["Id", "Name"],
  Model: ["Id", "Name"],
  Pattern: ["Id", "VinSchemaId", "Keys", "ElementId", "AttributeId", "CreatedOn", "UpdatedOn"],
  VehicleType: ["Id", "Name"],
  VinSchema: ["Id", "TobeQCed"],
  Wmi: ["Id", "Wmi", "ManufacturerId", "VehicleTypeId", "TruckTypeId", "PublicAvailabilityDate"],
  Wmi_Make: ["WmiId", "MakeId"],
  Wmi_VinSchema: ["Id", "WmiId", "VinSchemaId", "YearFrom", "YearTo"],
};

/** The variables that NHTSA makes public. */
export const PUBLIC_ELEMENTS =
  "Element WHERE coalesce(Decode, '') <> '' AND coalesce(IsPrivate, 0) = 0 AND Code IS NOT NULL";

/** Look-up tables whose rows are not values of patterns. */
const NOT_FOR_PATTERNS: ReadonlySet<string> = new Set(["Make", "Manufacturer"]);
const CHANGED_ON = "coalesce(unixepoch(coalesce(p.UpdatedOn, p.CreatedOn), 'subsec'), 0)";
/** Checked schemas of public manufacturers. */
const PUBLIC_SCHEMAS = `
  SELECT l.VinSchemaId FROM Wmi_VinSchema l
  JOIN Wmi w ON w.Id = l.WmiId AND w.PublicAvailabilityDate IS NOT NULL
  JOIN VinSchema s ON s.Id = l.VinSchemaId AND coalesce(s.TobeQCed, 0) = 0`;
/** Candidates are ordered by id. The ids of engine models start here, after those of all plain patterns. */
const ENGINE_MODEL_IDS_FROM = 2 ** 30;
const OPEN_END = 2999;
const LINE_BREAKS = /[\t\r\n]/g;
const ROWS_PER_CHUNK = 2_000;
const ISO_DATE_LENGTH = 10;

type Labels = ReadonlyMap<string, string>;

/**
 * Converts NHTSA's database into the form for decoding.
 *
 * @param sourcePath NHTSA's database as SQLite. It may be changed, so pass a copy.
 * @throws SnapshotError when the source is not such a database.
 */
export function buildSnapshot(sourcePath: string): SnapshotContent {
  using source = openSource(sourcePath);
  requireColumns(source);
  const elements = readElements(source);
  const texts = new Texts();
  const labels = readLabels(source, elements);
  const attributes = new Attributes(texts, labels);
  const keys = new KeyCollector();
  const { schemaPlaces, ...wmisAndLinks } = readWmis(source, texts);
  const { rows, formulas } = readPatterns(source, schemaPlaces, attributes, keys);
  if (rows.count === 0) {
    throw new SnapshotError("database", "it has no patterns to decode with");
  }
  return {
    dataDate: newestDate(rows),
    elements: elements.map(({ id, code, weight }) => ({ id, code, weight: weight ?? 0 })),
    conversions: readConversions(source),
    ...wmisAndLinks,
    ...arrange(rows, schemaPlaces.size, keys.size),
    keys: keys.collected(),
    formulas,
    engineModels: readEngineModels(source, attributes),
    defaults: toDefaults(labels),
    attributes: attributes.collected(),
    models: readModels(source, texts),
    texts: texts.collected(),
  };
}

function openSource(path: string): Database.Database & Disposable {
  let database: Database.Database | undefined;
  try {
    database = new Database(path);
    // Published files may be in write-ahead mode, which would create more files next to them.
    database.exec("PRAGMA journal_mode = OFF; PRAGMA locking_mode = EXCLUSIVE");
    database.prepare("SELECT count(*) FROM sqlite_master").get();
  } catch (cause) {
    database?.close();
    throw new SnapshotError("database", "it is not a readable SQLite database", { cause });
  }
  const opened = database;
  return Object.assign(opened, { [Symbol.dispose]: () => opened.close() });
}

function requireColumns(source: Database.Database): void {
  const columns = source.prepare<[string], { name: string }>("SELECT name FROM pragma_table_info(?)");
  for (const [table, wanted] of Object.entries(SOURCE_COLUMNS)) {
    const found = new Set(columns.all(table).map((column) => column.name.toLowerCase()));
    if (found.size === 0) {
      throw new SnapshotError("database", `it is not a vPIC database: there is no table ${table}`);
    }
    const missing = wanted.filter((column) => !found.has(column.toLowerCase()));
    if (missing.length > 0) {
      throw new SnapshotError(
        "database",
        `it is not a vPIC database: table ${table} has no column ${missing.join(", ")}`,
      );
    }
  }
}

interface SourceElement {
  readonly id: number;
  readonly code: string;
  readonly lookupTable: string | null;
  readonly weight: number | null;
}

function readElements(source: Database.Database): SourceElement[] {
  return source
    .prepare<[], SourceElement>(`
      SELECT Id AS id, Code AS code, LookupTable AS lookupTable, weight FROM ${PUBLIC_ELEMENTS} ORDER BY Id`)
    .all();
}

function readConversions(source: Database.Database): Conversion[] {
  return source
    .prepare<[], Conversion>(`
      SELECT Id AS id, FromElementId AS fromElementId, ToElementId AS toElementId, Formula AS formula
      FROM Conversion ORDER BY Id`)
    .all();
}

/**
 * The names in each variable's look-up table, by id. Has an entry for every public variable, even without a look-up
 * table.
 */
function readLabels(source: Database.Database, elements: readonly SourceElement[]): Map<number, Labels> {
  const tables = source.prepare("SELECT lower(name) FROM sqlite_master WHERE type = 'table'").pluck().all();
  const isRead = (table: string): boolean => !NOT_FOR_PATTERNS.has(table) && tables.includes(table.toLowerCase());
  const labelsOf = new Map<string, Labels>();
  for (const { lookupTable } of elements) {
    if (lookupTable !== null && isRead(lookupTable) && !labelsOf.has(lookupTable)) {
      labelsOf.set(lookupTable, readTable(source, lookupTable));
    }
  }
  return new Map(elements.map(({ id, lookupTable }) => [id, labelsOf.get(lookupTable ?? "") ?? new Map()]));
}

function readTable(source: Database.Database, table: string): Labels {
  const quoted = `"${table.replaceAll('"', '""')}"`;
  const rows = source
    .prepare<[], readonly [string, string]>(
      `SELECT CAST(CAST(Id AS INTEGER) AS TEXT), Name FROM ${quoted} WHERE Name IS NOT NULL`,
    )
    .raw()
    .all();
  return new Map(rows.map(([id, name]) => [id, todaysLabel(table, name)]));
}

/** NHTSA's current name for a row of a look-up table. Newer databases already have it. */
function todaysLabel(table: string, name: string): string {
  return RENAMED_LABELS[table]?.[name] ?? name;
}

function readModels(source: Database.Database, texts: Texts): SnapshotContent["models"] {
  const rows = source
    .prepare<[], readonly [number, number, string]>(`
      SELECT mm.ModelId, k.Id, k.Name
      FROM (SELECT ModelId, MakeId, min(Id) FROM Make_Model GROUP BY ModelId) mm JOIN Make k ON k.Id = mm.MakeId`)
    .raw()
    .all();
  const size = Math.max(0, ...rows.map(([modelId]) => modelId + 1));
  const models = { makeId: new Uint32Array(size), make: new Uint32Array(size) };
  for (const [modelId, makeId, make] of rows) {
    models.makeId[modelId] = makeId;
    models.make[modelId] = texts.placeOf(printed(make.toUpperCase()));
  }
  return models;
}

interface SourceWmi {
  readonly id: number;
  readonly code: string;
  readonly availableOn: number | null;
  readonly vehicleTypeId: number | null;
  readonly vehicleType: string | null;
  readonly truckTypeId: number | null;
  readonly manufacturerId: number | null;
  readonly manufacturer: string | null;
  readonly makeId: number | null;
  readonly make: string | null;
}

/** The identifiers, their links to schemas, and the positions of these schemas by id. */
function readWmis(
  source: Database.Database,
  texts: Texts,
): Pick<SnapshotContent, "wmis" | "links"> & { schemaPlaces: Map<number, number> } {
  const rows = source
    .prepare<[], SourceWmi>(`
      SELECT w.Id AS id, w.Wmi AS code, unixepoch(w.PublicAvailabilityDate, 'subsec') * 1000 AS availableOn,
        t.Id AS vehicleTypeId, t.Name AS vehicleType, w.TruckTypeId AS truckTypeId,
        f.Id AS manufacturerId, f.Name AS manufacturer, m.Id AS makeId, m.Name AS make
      FROM Wmi w
      LEFT JOIN VehicleType t ON t.Id = w.VehicleTypeId
      LEFT JOIN Manufacturer f ON f.Id = w.ManufacturerId
      LEFT JOIN (
        SELECT wm.WmiId, min(wm.MakeId) AS MakeId FROM Wmi_Make wm JOIN Make ON Make.Id = wm.MakeId
        GROUP BY wm.WmiId HAVING count(*) = 1
      ) AS sole ON sole.WmiId = w.Id
      LEFT JOIN Make m ON m.Id = sole.MakeId
      ORDER BY w.Id`)
    .all();
  const upper = (name: string | null): number => texts.placeOf(printed((name ?? "").toUpperCase()));
  const vehicleType = (name: string | null): number => upper(name === null ? null : todaysLabel("VehicleType", name));
  const { schemaPlaces, start, ...links } = readLinks(
    source,
    rows.map(({ id }) => id),
  );
  const wmis = {
    code: rows.map(({ code }) => code),
    availableOn: Float64Array.from(rows, (row) => row.availableOn ?? Number.NaN),
    vehicleTypeId: Uint8Array.from(rows, (row) => row.vehicleTypeId ?? 0),
    vehicleType: Uint32Array.from(rows, (row) => vehicleType(row.vehicleType)),
    truckTypeId: Uint8Array.from(rows, (row) => row.truckTypeId ?? 0),
    manufacturerId: Uint32Array.from(rows, (row) => row.manufacturerId ?? 0),
    manufacturer: Uint32Array.from(rows, (row) => upper(row.manufacturer)),
    makeId: Uint32Array.from(rows, (row) => row.makeId ?? 0),
    make: Uint32Array.from(rows, (row) => upper(row.make)),
    linkStart: start,
  };
  return { wmis, links, schemaPlaces };
}

function readLinks(
  source: Database.Database,
  wmiIds: readonly number[],
): SnapshotContent["links"] & { start: Uint32Array; schemaPlaces: Map<number, number> } {
  const rows = source
    .prepare<[], readonly [wmiId: number, schemaId: number, yearFrom: number, yearTo: number]>(`
      SELECT l.WmiId, l.VinSchemaId, coalesce(l.YearFrom, 0), coalesce(l.YearTo, ${OPEN_END})
      FROM Wmi_VinSchema l JOIN VinSchema s ON s.Id = l.VinSchemaId ORDER BY l.WmiId, 3, 4, l.Id`)
    .raw()
    .all();
  const schemaPlaces = new Map<number, number>();
  for (const [, schemaId] of rows) {
    schemaPlaces.set(schemaId, schemaPlaces.get(schemaId) ?? schemaPlaces.size);
  }
  const known = new Set(wmiIds);
  const links = rows.filter(([wmiId]) => known.has(wmiId));
  return {
    start: startsOf(
      wmiIds,
      links.map(([wmiId]) => wmiId),
    ),
    schema: Uint32Array.from(links, ([, schemaId]) => schemaPlaces.get(schemaId) ?? 0),
    yearFrom: Uint16Array.from(links, ([, , yearFrom]) => yearFrom),
    yearTo: Uint16Array.from(links, ([, , , yearTo]) => yearTo),
    schemaPlaces,
  };
}

/**
 * The start of each owner's rows, and the end of the last. Both lists must be ascending, and every row must have an
 * owner.
 */
function startsOf(owners: Iterable<number>, rowOwners: ArrayLike<number>): Uint32Array {
  const starts: number[] = [];
  let row = 0;
  for (const owner of owners) {
    starts.push(row);
    while (rowOwners[row] === owner) {
      row++;
    }
  }
  return Uint32Array.from([...starts, row]);
}

interface SourcePattern {
  readonly id: number;
  readonly elementId: number;
  readonly attributeId: string;
  readonly changedOn: number;
  readonly schemaId: number;
  readonly keys: string;
}

/** The patterns in the order of the source; columns may be longer than `count`. */
interface PatternRows {
  readonly count: number;
  readonly id: Uint32Array;
  readonly schema: Uint32Array;
  readonly key: Uint32Array;
  readonly attribute: Uint32Array;
  readonly changedOn: Float64Array;
}

/** The patterns of public variables and schemas that a VIN can match. */
function readPatterns(
  source: Database.Database,
  schemaPlaces: ReadonlyMap<number, number>,
  attributes: Attributes,
  keys: KeyCollector,
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
function arrange(
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

function newestDate({ count, changedOn }: PatternRows): string {
  const newest = changedOn.subarray(0, count).reduce((latest, time) => Math.max(latest, time), 0);
  return new Date(newest * 1000).toISOString().slice(0, ISO_DATE_LENGTH);
}

function readEngineModels(source: Database.Database, attributes: Attributes): Map<string, EngineModelPattern[]> {
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

function toDefaults(labels: ReadonlyMap<number, Labels>): Map<number, Item[]> {
  const toItem = ({ elementId, attributeId, value }: Default): Item => ({
    elementId,
    attributeId,
    value: value ?? labels.get(elementId)?.get(attributeId) ?? attributeId,
    isPattern: false,
    priority: 0,
    changedOn: 0,
    keyRank: 0,
    id: 0,
  });
  return new Map(
    Object.entries(DEFAULTS).map(([vehicleTypeId, defaults]) => [Number(vehicleTypeId), defaults.map(toItem)]),
  );
}

/** Stores each text once. */
class Texts {
  readonly #places = new Map<string, number>([["", 0]]);

  placeOf(text: string): number {
    const place = this.#places.get(text) ?? this.#places.size;
    this.#places.set(text, place);
    return place;
  }

  collected(): string[] {
    return [...this.#places.keys()];
  }
}

/** Stores each value of each variable once. */
class Attributes {
  readonly #texts: Texts;
  readonly #labels: ReadonlyMap<number, Labels>;
  readonly #places = new Map<number, Map<string, number>>();
  readonly #elementId: number[] = [];
  readonly #id: number[] = [];
  readonly #value: number[] = [];

  constructor(texts: Texts, labels: ReadonlyMap<number, Labels>) {
    this.#texts = texts;
    this.#labels = labels;
  }

  /** The position of a value; undefined when the variable is not public. */
  placeOf(elementId: number, attributeId: string): number | undefined {
    const labels = this.#labels.get(elementId);
    if (labels === undefined) {
      return undefined;
    }
    const places = this.#places.get(elementId) ?? new Map<string, number>();
    this.#places.set(elementId, places);
    let place = places.get(attributeId);
    if (place === undefined) {
      place = this.#id.length;
      places.set(attributeId, place);
      this.#elementId.push(elementId);
      this.#id.push(this.#texts.placeOf(attributeId));
      // vPIC prints the id when the look-up table has no such row.
      this.#value.push(this.#texts.placeOf(printed(labels.get(attributeId) ?? attributeId)));
    }
    return place;
  }

  collected(): SnapshotContent["attributes"] {
    return {
      elementId: Uint16Array.from(this.#elementId),
      id: Uint32Array.from(this.#id),
      value: Uint32Array.from(this.#value),
    };
  }
}

/** A value as vPIC prints it: on one line and trimmed. */
function printed(value: string): string {
  return value.replaceAll(LINE_BREAKS, " ").trim();
}
