import { hasValidCheckDigit } from "../../vehicle/check-digit.ts";
import type { Vin } from "../../vehicle/vin.ts";
import { keyOf, parseModelYear, type Query } from "../query.ts";
import { findVins, likelyMeant, tidyVin, tryVin } from "../tidy-vin.ts";
import type { Separator, TextRecord } from "./read-table.ts";
import { readTable } from "./read-table.ts";

/** One row of a list. */
export interface ListRow {
  /** Where it begins in the text, from 1. */
  readonly line: number;
  /** The user's own cells. */
  readonly cells: readonly string[];
  /** What stands where the VIN is expected. */
  readonly text: string;
  /** Undefined when there is none. */
  readonly vin: Vin | undefined;
  /** From the column of the model years. */
  readonly modelYear: number | undefined;
  /** Why there is no VIN. */
  readonly fault: string | undefined;
  /** A VIN that may have been meant, if there is none. It is sent only when the user chooses it. */
  readonly meant: Vin | undefined;
}

/** A list of VINs, as it was understood. */
export interface ParsedList {
  /** How the text was split: `text` when VINs were picked out of other words. */
  readonly kind: "column" | "table" | "text";
  readonly separator: Separator;
  /** Names of the user's columns. */
  readonly columns: readonly string[];
  readonly hasHeader: boolean;
  /** The column of the VINs, from 0. */
  readonly vinColumn: number;
  /** The column that has model years by its name and its cells, from 0. */
  readonly yearColumn: number | undefined;
  /** Whether the model years are sent. */
  readonly usesYears: boolean;
  readonly rows: readonly ListRow[];
  /** The number of rows without anything in them, which are left out. */
  readonly blanks: number;
  /** VINs that had blanks, dashes, quotes or other words around them. */
  readonly tidied: number;
  /** Rows whose VIN has occurred before. */
  readonly duplicates: number;
  /** VINs whose position 9 is not the check digit. */
  readonly doubtful: number;
  /** VINs with something beside them, in the column of the model years, that is not one. They are sent without. */
  readonly yearless: number;
}

const SEPARATORS: readonly Exclude<Separator, undefined>[] = ["\t", ";", ",", "|"];
const LOOKED_AT = 100;
/** 17 letters or digits, even if some are impossible: I, O and Q are typing errors. */
const LIKE_A_VIN = /^(?=.*\d)[A-Z0-9]{17}$/;

/** Names of columns with model years, without blanks and signs; the ones that say so first. */
const YEAR_NAMES = ["modelyear", "modelyr", "my", "vehicleyear", "year", "yr"];

/**
 * Understands a pasted column, a table as CSV or TSV, or any text with VINs in it.
 *
 * @param usesYears whether the column of the model years is read, if there is one
 */
export function parseList(pasted: string, usesYears = true): ParsedList {
  const text = pasted.replace(/^\uFEFF/, "").replace(/[\r\n]+$/, "");
  const separator = SEPARATORS.find((candidate) => isTable(readTable(firstLines(text), candidate)));
  const records = readTable(text, separator);
  const filled = records.filter(({ cells }) => cells.some((cell) => cell.trim() !== ""));
  const blanks = text === "" ? 0 : records.length - filled.length;
  const vinColumn = findVinColumn(filled.slice(0, LOOKED_AT));
  if (isProse(filled, vinColumn)) {
    const how = { kind: "text", separator: undefined, columns: ["VIN"], hasHeader: false, vinColumn: 0 } as const;
    return toList({ ...how, yearColumn: undefined, usesYears, blanks: 0 }, [...pickVins(text)]);
  }
  // Words above words are no header.
  const hasVins = filled.slice(1).some(({ cells }) => hasLikeVin(cells[vinColumn] ?? ""));
  const hasHeader = isHeader(filled[0]?.cells[vinColumn] ?? "") && hasVins;
  const width = Math.max(1, ...filled.map(({ cells }) => cells.length));
  const names = hasHeader ? (filled[0]?.cells ?? []) : [];
  const columns = Array.from({ length: width }, (_, index) => nameOf(names[index], index, vinColumn, width));
  const kind = width > 1 ? "table" : "column";
  const rows = hasHeader ? filled.slice(1) : filled;
  const yearColumn = findYearColumn(names, rows.slice(0, LOOKED_AT));
  return toList({ kind, separator, columns, hasHeader, vinColumn, yearColumn, usesYears, blanks }, rows);
}

/** What is asked for a row; undefined when it has no VIN. */
export function queryOf({ vin, modelYear }: ListRow): (Query & { readonly vin: Vin }) | undefined {
  return vin === undefined ? undefined : { vin, modelYear };
}

/** The different queries of a list, in its order. */
export function queriesOf({ rows }: ParsedList): readonly Query[] {
  return [...new Map(rows.flatMap((row) => queryOf(row) ?? []).map((query) => [keyOf(query), query])).values()];
}

function toList(
  how: Omit<ParsedList, "rows" | "tidied" | "duplicates" | "doubtful" | "yearless">,
  records: readonly TextRecord[],
): ParsedList {
  const seen = new Set<string>();
  const counts = { tidied: 0, duplicates: 0, doubtful: 0, yearless: 0 };
  const rows = records.map((record) => {
    const row = toRow(record, how);
    const query = queryOf(row);
    if (query !== undefined) {
      const key = keyOf(query);
      counts.tidied += Number(row.text.trim().toUpperCase() !== query.vin);
      counts.duplicates += Number(seen.has(key));
      counts.doubtful += Number(!seen.has(key) && !hasValidCheckDigit(query.vin));
      counts.yearless += Number(query.modelYear === undefined && yearTextOf(record, how).trim() !== "");
      seen.add(key);
    }
    return row;
  });
  return { ...how, rows, ...counts };
}

type Columns = Pick<ParsedList, "vinColumn" | "yearColumn" | "usesYears">;

function toRow(record: TextRecord, columns: Columns): ListRow {
  const text = record.cells[columns.vinColumn] ?? "";
  const row = { ...record, text, modelYear: parseModelYear(yearTextOf(record, columns)) };
  const tried = tryVin(tidyVin(text));
  if ("vin" in tried) {
    return { ...row, vin: tried.vin, fault: undefined, meant: undefined };
  }
  const inText = findVins(text);
  const alone = inText.length === 1 ? tryVin(inText[0] ?? "") : undefined;
  return alone !== undefined && "vin" in alone
    ? { ...row, vin: alone.vin, fault: undefined, meant: undefined }
    : { ...row, vin: undefined, fault: tried.fault, meant: likelyMeant(text) };
}

/** What is written for the model year; empty when years are not used. */
function yearTextOf({ cells }: TextRecord, { yearColumn, usesYears }: Columns): string {
  return usesYears && yearColumn !== undefined ? (cells[yearColumn] ?? "") : "";
}

function firstLines(text: string): string {
  return text.split(/(?<=\n|\r(?!\n))/, LOOKED_AT).join("");
}

function isLikeVin(cell: string): boolean {
  return LIKE_A_VIN.test(tidyVin(cell));
}

/** A table has several columns in most records, and one of them has most of the VINs. */
function isTable(records: readonly TextRecord[]): boolean {
  const filled = records.filter(({ cells }) => cells.some((cell) => cell.trim() !== ""));
  const wide = filled.filter(({ cells }) => cells.length > 1);
  const withVin = wide.filter(({ cells }) => cells.some(isLikeVin));
  return wide.length > filled.length / 2 && withVin.length >= (wide.length - 1) / 2;
}

function findVinColumn(records: readonly TextRecord[]): number {
  const width = Math.max(0, ...records.map(({ cells }) => cells.length));
  const scores = Array.from({ length: width }, (_, column) => {
    const likeVins = records.filter(({ cells }) => isLikeVin(cells[column] ?? "")).length;
    // The name decides only between columns that look the same.
    return likeVins + (/\bvin\b/i.test(records[0]?.cells[column] ?? "") ? 0.5 : 0);
  });
  return Math.max(0, scores.indexOf(Math.max(...scores)));
}

/** By its name, and because most of what it has are model years: a column "Year" may also count the years of a lease. */
function findYearColumn(names: readonly string[], records: readonly TextRecord[]): number | undefined {
  const plainNames = names.map((name) => name.toLowerCase().replaceAll(/[^\p{L}\d]/gu, ""));
  const columns = YEAR_NAMES.flatMap((name) => [...plainNames.keys()].filter((index) => plainNames[index] === name));
  return columns.find((column) => {
    const filled = records.flatMap(({ cells }) => cells[column]?.trim() || []);
    return filled.filter((cell) => parseModelYear(cell) !== undefined).length > filled.length / 2;
  });
}

function isHeader(cell: string): boolean {
  const isName = /\p{L}/u.test(cell) && (!/\d/.test(cell) || /\bvins?\b/i.test(cell));
  return isName && !hasLikeVin(cell);
}

function hasLikeVin(cell: string): boolean {
  return isLikeVin(cell) || findVins(cell).length > 0;
}

/** Whether VINs stand in the midst of other words, or several in one record. */
function isProse(records: readonly TextRecord[], vinColumn: number): boolean {
  let alone = 0;
  let some = 0;
  let several = 0;
  let onlyVins = 0;
  let width = 0;
  for (const { cells } of records) {
    const filled = cells.filter((cell) => cell.trim() !== "");
    const vins = filled.reduce((count, cell) => count + findVins(cell).length, 0);
    alone += Number(isLikeVin(cells[vinColumn] ?? ""));
    some += Number(vins > 0);
    several += Number(vins > 1);
    onlyVins += Number(filled.length > 1 && filled.every(isLikeVin));
    width = Math.max(width, cells.length);
  }
  const isInWords = width === 1 && alone < some / 2 && some < records.length;
  return several > (width === 1 ? 0 : alone) || onlyVins > records.length / 2 || isInWords;
}

function* pickVins(text: string): Generator<TextRecord> {
  for (const [index, line] of text.split(/\r\n|\r|\n/).entries()) {
    for (const vin of findVins(line)) {
      yield { line: index + 1, cells: [vin] };
    }
  }
}

function nameOf(name: string | undefined, index: number, vinColumn: number, width: number): string {
  if (name !== undefined && name.trim() !== "") {
    return name.trim();
  }
  return index === vinColumn || width === 1 ? "VIN" : `Column ${index + 1}`;
}
