import type Database from "better-sqlite3";
import type { Conversion } from "./conversions.ts";

/** A world manufacturer identifier and what it says of every vehicle that carries it. */
export interface Wmi {
  readonly id: number;
  readonly wmi: string;
  /** When NHTSA makes it public, as a date that sorts; null when it is not to be. */
  readonly availableOn: string | null;
  readonly vehicleTypeId: number | null;
  readonly vehicleType: string | null;
  readonly truckTypeId: number | null;
  readonly manufacturerId: number | null;
  readonly manufacturer: string | null;
  /** The only make under this identifier; null when there are several or none. */
  readonly makeId: number | null;
  readonly make: string | null;
}

/** A value that applies to a VIN. */
export interface PatternRow {
  readonly elementId: number;
  readonly attributeId: string;
  readonly changedOn: string;
}

/** A pattern that matches a VIN. */
export interface MatchingPattern extends PatternRow {
  /** The pattern for SQLite's GLOB: literals, sets, `?` for any character, and a final `*`. */
  readonly glob: string;
  readonly yearFrom: number;
}

/** A pattern with `#` for digits, whose value is read out of the VIN. Whether it matches is still to be found out. */
export interface FormulaPattern extends PatternRow {
  readonly keys: string;
}

/** A model and the make it is sold under. */
export interface Model {
  readonly name: string;
  readonly makeId: number | null;
  readonly make: string | null;
}

interface Element {
  readonly id: number;
  readonly code: string;
  readonly lookupTable: string | null;
  readonly weight: number | null;
}

const IN_YEAR = "s.wmi_id = :wmiId AND (:year IS NULL OR :year BETWEEN s.year_from AND s.year_to)";

/** The questions that decoding asks the unpacked database. Small tables are read once and kept, some 1,000 rows. */
export class VpicData {
  /** When the newest of the data was changed, as a date such as `2026-02-17`. */
  readonly dataDate: string;
  readonly conversions: readonly Conversion[];
  readonly #elements: ReadonlyMap<number, Element>;
  readonly #lookups: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly #wmi: Database.Statement<[string], Wmi>;
  readonly #coverage: Database.Statement<[{ wmiId: number; year: number }]>;
  readonly #patterns: Database.Statement<[{ wmiId: number; year: number | null; key: string }], MatchingPattern>;
  readonly #formulas: Database.Statement<[{ wmiId: number; year: number | null }], FormulaPattern>;
  readonly #engineModel: Database.Statement<[string], PatternRow>;
  readonly #model: Database.Statement<[string], Model>;

  /** @param database the unpacked snapshot; it stays the caller's. */
  constructor(database: Database.Database) {
    this.dataDate = readDataDate(database);
    this.conversions = database
      .prepare<[], Conversion>(
        "SELECT id, from_element_id AS fromElementId, to_element_id AS toElementId, formula FROM conversion ORDER BY id",
      )
      .all();
    this.#elements = readElements(database);
    this.#lookups = readLookups(database);
    this.#wmi = database.prepare(`
      SELECT id, wmi, available_on AS availableOn, vehicle_type_id AS vehicleTypeId, vehicle_type AS vehicleType,
        truck_type_id AS truckTypeId, manufacturer_id AS manufacturerId, manufacturer, make_id AS makeId, make
      FROM wmi WHERE wmi = ?`);
    this.#coverage = database.prepare(`SELECT 1 FROM wmi_schema s WHERE ${IN_YEAR} LIMIT 1`);
    this.#patterns = database.prepare(`
      SELECT p.element_id AS elementId, p.attribute_id AS attributeId, p.changed_on AS changedOn, p.glob,
        s.year_from AS yearFrom
      FROM wmi_schema s CROSS JOIN pattern p ON p.schema_id = s.schema_id
      WHERE ${IN_YEAR} AND :key GLOB p.glob
      ORDER BY p.id`);
    this.#formulas = database.prepare(`
      SELECT f.element_id AS elementId, f.attribute_id AS attributeId, f.changed_on AS changedOn, f.keys
      FROM wmi_schema s CROSS JOIN formula_pattern f ON f.schema_id = s.schema_id
      WHERE ${IN_YEAR}
      ORDER BY f.id`);
    this.#engineModel = database.prepare(`
      SELECT element_id AS elementId, attribute_id AS attributeId, changed_on AS changedOn
      FROM engine_model_pattern WHERE name = lower(trim(?)) ORDER BY id`);
    this.#model = database.prepare(
      "SELECT name, make_id AS makeId, make FROM model WHERE id = CAST(? AS INTEGER) AND name IS NOT NULL",
    );
  }

  /** The identifier, of three or six characters; undefined when NHTSA does not know it. */
  wmi(wmi: string): Wmi | undefined {
    return this.#wmi.get(wmi);
  }

  /** Whether NHTSA has any patterns for vehicles of this identifier and year. */
  coversYear(wmiId: number, year: number): boolean {
    return this.#coverage.get({ wmiId, year }) !== undefined;
  }

  /** The patterns that match the key, oldest first; of all years when the year is not known. */
  matchingPatterns(wmiId: number, year: number | undefined, key: string): MatchingPattern[] {
    return this.#patterns.all({ wmiId, year: year ?? null, key });
  }

  /** The formula patterns for this identifier and year, whether they match or not. There are few in all the data. */
  formulaPatterns(wmiId: number, year: number | undefined): FormulaPattern[] {
    return this.#formulas.all({ wmiId, year: year ?? null });
  }

  /** What is known of an engine by its model name, in whatever case. */
  engineModelPatterns(name: string): PatternRow[] {
    return this.#engineModel.all(name);
  }

  /** The model of this id. */
  model(id: string): Model | undefined {
    return this.#model.get(id);
  }

  /** The variable's name in vPIC's flat answers, such as `EngineCylinders`; undefined for those that are not public. */
  nameOf(elementId: number): string | undefined {
    return this.#elements.get(elementId)?.code;
  }

  /** How much it counts, when two passes are compared, that a variable is known. */
  weightOf(elementId: number): number {
    return this.#elements.get(elementId)?.weight ?? 0;
  }

  /**
   * What an attribute id stands for: the name in the variable's look-up table, or itself when the variable has no such
   * table or the table no such row, as vPIC prints it.
   */
  valueOf(elementId: number, attributeId: string): string {
    const table = this.#elements.get(elementId)?.lookupTable ?? "";
    return table === "" ? attributeId : (this.#lookups.get(table)?.get(attributeId) ?? attributeId);
  }
}

function readDataDate(database: Database.Database): string {
  const row = database.prepare<[], { value: string }>("SELECT value FROM meta WHERE key = 'data_date'").get();
  return row?.value ?? "";
}

function readElements(database: Database.Database): Map<number, Element> {
  const rows = database.prepare<[], Element>("SELECT id, code, lookup_table AS lookupTable, weight FROM element").all();
  return new Map(rows.map((row) => [row.id, row]));
}

function readLookups(database: Database.Database): Map<string, Map<string, string>> {
  const lookups = new Map<string, Map<string, string>>();
  const rows = database.prepare<[], { table_name: string; id: string; name: string }>("SELECT * FROM lookup").all();
  for (const row of rows) {
    const names = lookups.get(row.table_name) ?? new Map<string, string>();
    names.set(row.id, row.name);
    lookups.set(row.table_name, names);
  }
  return lookups;
}
