import { hasValidCheckDigit } from "../../vehicle/check-digit.ts";
import type { Vin } from "../../vehicle/vin.ts";
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
  readonly rows: readonly ListRow[];
  /** The number of rows without anything in them, which are left out. */
  readonly blanks: number;
  /** VINs that had blanks, dashes, quotes or other words around them. */
  readonly tidied: number;
  /** Rows whose VIN has occurred before. */
  readonly duplicates: number;
  /** VINs whose position 9 is not the check digit. */
  readonly doubtful: number;
}

const SEPARATORS: readonly Exclude<Separator, undefined>[] = ["\t", ";", ",", "|"];
const LOOKED_AT = 100;
/** 17 letters or digits, even if some are impossible: I, O and Q are typing errors. */
const LIKE_A_VIN = /^(?=.*\d)[A-Z0-9]{17}$/;

/** Understands a pasted column, a table as CSV or TSV, or any text with VINs in it. */
export function parseList(pasted: string): ParsedList {
  const text = pasted.replace(/^\uFEFF/, "").replace(/[\r\n]+$/, "");
  const separator = SEPARATORS.find((candidate) => isTable(readTable(firstLines(text), candidate)));
  const records = readTable(text, separator);
  const filled = records.filter(({ cells }) => cells.some((cell) => cell.trim() !== ""));
  const blanks = text === "" ? 0 : records.length - filled.length;
  const vinColumn = findVinColumn(filled.slice(0, LOOKED_AT));
  if (isProse(filled, vinColumn)) {
    return toList({ kind: "text", separator: undefined, columns: ["VIN"], hasHeader: false, vinColumn: 0, blanks: 0 }, [
      ...pickVins(text),
    ]);
  }
  const hasHeader = isHeader(filled[0]?.cells[vinColumn] ?? "") && filled.length > 1;
  const width = Math.max(1, ...filled.map(({ cells }) => cells.length));
  const names = hasHeader ? (filled[0]?.cells ?? []) : [];
  const columns = Array.from({ length: width }, (_, index) => nameOf(names[index], index, vinColumn, width));
  const kind = width > 1 ? "table" : "column";
  return toList({ kind, separator, columns, hasHeader, vinColumn, blanks }, hasHeader ? filled.slice(1) : filled);
}

function toList(
  how: Pick<ParsedList, "kind" | "separator" | "columns" | "hasHeader" | "vinColumn" | "blanks">,
  records: readonly TextRecord[],
): ParsedList {
  const seen = new Set<Vin>();
  const counts = { tidied: 0, duplicates: 0, doubtful: 0 };
  const rows = records.map((record) => {
    const row = toRow(record, how.vinColumn);
    if (row.vin !== undefined) {
      counts.tidied += Number(row.text.trim().toUpperCase() !== row.vin);
      counts.duplicates += Number(seen.has(row.vin));
      counts.doubtful += Number(!seen.has(row.vin) && !hasValidCheckDigit(row.vin));
      seen.add(row.vin);
    }
    return row;
  });
  return { ...how, rows, ...counts };
}

function toRow({ line, cells }: TextRecord, vinColumn: number): ListRow {
  const text = cells[vinColumn] ?? "";
  const tried = tryVin(tidyVin(text));
  if ("vin" in tried) {
    return { line, cells, text, vin: tried.vin, fault: undefined, meant: undefined };
  }
  const inText = findVins(text);
  const alone = inText.length === 1 ? tryVin(inText[0] ?? "") : undefined;
  return alone !== undefined && "vin" in alone
    ? { line, cells, text, vin: alone.vin, fault: undefined, meant: undefined }
    : { line, cells, text, vin: undefined, fault: tried.fault, meant: likelyMeant(text) };
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

function isHeader(cell: string): boolean {
  const isName = /\p{L}/u.test(cell) && (!/\d/.test(cell) || /\bvins?\b/i.test(cell));
  return isName && !isLikeVin(cell) && findVins(cell).length === 0;
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
