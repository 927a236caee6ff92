import { toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { LookupResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { LookupResponseSchema, Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { Outcome } from "./batch-run.ts";
import type { Query } from "../query.ts";
import { queryOf, type ListRow, type ParsedList } from "./parse-list.ts";

/** Finds what became of a query. */
export type OutcomeOf = (query: Query) => Outcome;

/** The columns that are added to the user's own, each with its value for a vehicle. */
const ADDED: Readonly<Record<string, (vehicle: LookupResponse) => string>> = {
  Make: ({ make }) => make,
  Model: ({ model }) => model,
  "Model year": ({ modelYear }) => modelYear,
  "Body class": ({ bodyClass }) => bodyClass,
  "Verdict codes": ({ verdict }) => (verdict?.codes ?? []).join(" "),
  Verdict: ({ verdict }) => verdict?.text ?? "",
  "Suggested VIN": ({ verdict }) => verdict?.suggestedVin ?? "",
  "Likely VIN": ({ verdict }) => verdict?.likelyVin ?? "",
  Source: ({ source }) => (source === Source.SNAPSHOT ? "snapshot" : "vPIC"),
  "Data date": ({ dataDate }) => dataDate,
  Stale: ({ stale }) => (stale ? "yes" : ""),
  Decoded: ({ decodeTime }) => (decodeTime === undefined ? "" : timestampDate(decodeTime).toISOString()),
};

/**
 * The list with its results, as CSV with the user's own columns first. Excel reads it as UTF-8. Where the user has a column of
 * the same name, ours begins with "vPIC".
 */
export function toCsv(list: ParsedList, outcomeOf: OutcomeOf): string {
  const lines = toRecords(list, outcomeOf).map((cells) => cells.map(quoteCsv).join(","));
  return `\uFEFF${lines.join("\r\n")}\r\n`;
}

/** The same as text that spreadsheets take from the clipboard. */
export function toTsv(list: ParsedList, outcomeOf: OutcomeOf): string {
  const plain = (cell: string): string => cell.replaceAll(/[\t\r\n]+/g, " ");
  return toRecords(list, outcomeOf)
    .map((cells) => cells.map(plain).join("\t"))
    .join("\n");
}

/** One object for each row: the user's own cells by their column, and the vehicle as Lookup answers it, or the error. */
export function toJsonText(list: ParsedList, outcomeOf: OutcomeOf): string {
  const names = distinctNames(list.columns);
  const rows = list.rows.map((row) => {
    const own = Object.fromEntries(names.map((name, index) => [name, row.cells[index] ?? ""]));
    const outcome = outcomeOfRow(row, outcomeOf);
    return outcome.state === "vehicle"
      ? { line: row.line, row: own, vehicle: toJson(LookupResponseSchema, outcome.vehicle) }
      : { line: row.line, row: own, error: outcome.state === "failed" ? outcome.sentence : "not looked up" };
  });
  return JSON.stringify(rows, null, 2);
}

/** What became of a row; one without a VIN has failed. */
export function outcomeOfRow(row: ListRow, outcomeOf: OutcomeOf): Outcome {
  const query = queryOf(row);
  return query === undefined
    ? { state: "failed", sentence: row.fault ?? "", likelyVin: row.meant ?? "", isTransient: false }
    : outcomeOf(query);
}

function toRecords(list: ParsedList, outcomeOf: OutcomeOf): string[][] {
  const taken = new Set(list.columns.map((name) => name.toLowerCase()));
  const added = [...Object.keys(ADDED), "Error"].map((name) => (taken.has(name.toLowerCase()) ? `vPIC ${name}` : name));
  const header = [...list.columns, ...added];
  const records = list.rows.map((row) => {
    const own = list.columns.map((_, index) => row.cells[index] ?? "");
    const outcome = outcomeOfRow(row, outcomeOf);
    const added = Object.values(ADDED).map((read) => (outcome.state === "vehicle" ? read(outcome.vehicle) : ""));
    const likely = Object.keys(ADDED).indexOf("Likely VIN");
    if (outcome.state === "failed") {
      added[likely] = outcome.likelyVin;
    }
    return [...own, ...added.map(asText), outcome.state === "failed" ? asText(outcome.sentence) : ""];
  });
  return [header, ...records];
}

/** A table may have several columns of one name; an object may not. The second one is called "Note 2". */
function distinctNames(columns: readonly string[]): string[] {
  const names = new Set<string>();
  for (const column of columns) {
    let name = column;
    for (let count = 2; names.has(name); count++) {
      name = `${column} ${count}`;
    }
    names.add(name);
  }
  return [...names];
}

/** Spreadsheets would run a text of the service as a formula. The user's own cells stay as they are. */
function asText(cell: string): string {
  return /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
}

function quoteCsv(cell: string): string {
  return /[",\r\n;\t]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
