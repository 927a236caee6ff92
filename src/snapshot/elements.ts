import type Database from "better-sqlite3";
import { RENAMED_LABELS } from "./nhtsa-tables.ts";
import { PUBLIC_ELEMENTS } from "./source-tables.ts";

/** Look-up tables whose rows are not values of patterns. */
const NOT_FOR_PATTERNS: ReadonlySet<string> = new Set(["Make", "Manufacturer"]);

/** The names in a look-up table, by id. */
export type Labels = ReadonlyMap<string, string>;

interface SourceElement {
  readonly id: number;
  readonly code: string;
  readonly lookupTable: string | null;
  readonly weight: number | null;
}

/** The public variables, by id. */
export function readElements(source: Database.Database): SourceElement[] {
  return source
    .prepare<[], SourceElement>(`
      SELECT Id AS id, Code AS code, LookupTable AS lookupTable, weight FROM ${PUBLIC_ELEMENTS} ORDER BY Id`)
    .all();
}

/**
 * The names in each variable's look-up table, by id. Has an entry for every public variable, even without a look-up
 * table.
 */
export function readLabels(source: Database.Database, elements: readonly SourceElement[]): Map<number, Labels> {
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
  return new Map(rows.map(([id, name]) => [id, currentLabel(table, name)]));
}

/** NHTSA's current name for a row of a look-up table. Newer databases already have it. */
export function currentLabel(table: string, name: string): string {
  return RENAMED_LABELS[table]?.[name] ?? name;
}
