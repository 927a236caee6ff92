import { modelYearRange } from "../query.ts";
import { counted } from "../words.ts";
import type { ParsedList } from "./parse-list.ts";

const NAMES = { ",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars" } as const;

/** What was understood of a list, in sentences, before anything is sent. */
export function reportOn(list: ParsedList): readonly string[] {
  const { kind, separator, columns, hasHeader, vinColumn, blanks, tidied, duplicates, doubtful, yearColumn, yearless } =
    list;
  const { first, last } = modelYearRange();
  const table =
    separator === undefined
      ? ""
      : `A table with ${counted(columns.length, "column")}, separated by ${NAMES[separator]}. `;
  const header = hasHeader ? "The first row has the names of the columns. " : "";
  const how =
    kind === "text"
      ? "The VINs were picked out of the text around them."
      : kind === "table"
        ? `${table}${header}The VINs are in “${columns[vinColumn]}”.`
        : header.trim();
  return [
    how,
    duplicates === 0 ? "" : `${counted(duplicates, "row")} ${repeat(duplicates)} a VIN. Each VIN is sent once.`,
    tidied === 0
      ? ""
      : `${counted(tidied, "VIN")} had blanks, dashes, quotes or words around ${tidied === 1 ? "it" : "them"}, which were dropped.`,
    yearless === 0 || yearColumn === undefined
      ? ""
      : `${counted(yearless, "VIN")} ${yearless === 1 ? "has" : "have"} no model year from ${first} to ${last} in “${columns[yearColumn]}”, and ${yearless === 1 ? "is" : "are"} sent without one.`,
    blanks === 0 ? "" : `${counted(blanks, "empty row")} ${blanks === 1 ? "was" : "were"} left out.`,
    doubtful === 0
      ? ""
      : `${counted(doubtful, "check digit")} ${doubtful === 1 ? "does" : "do"} not match. Outside North America this is often not a mistake.`,
  ].filter((sentence) => sentence !== "");
}

function repeat(count: number): string {
  return count === 1 ? "repeats" : "repeat";
}
