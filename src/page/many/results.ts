import { toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { LookupResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { LookupResponseSchema, Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { Outcome } from "./batch-run.ts";
import type { ListRow, ParsedList } from "./parse-list.ts";

/** Finds what became of a VIN. */
export type OutcomeOf = (vin: string) => Outcome;

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

/** The list with its results, as CSV with the user's own columns first. Excel reads it as UTF-8. */
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
  const rows = list.rows.map((row) => {
    const own = Object.fromEntries(list.columns.map((name, index) => [name, row.cells[index] ?? ""]));
    const outcome = outcomeOfRow(row, outcomeOf);
    return outcome.state === "vehicle"
      ? { line: row.line, row: own, vehicle: toJson(LookupResponseSchema, outcome.vehicle) }
      : { line: row.line, row: own, error: outcome.state === "failed" ? outcome.sentence : "not looked up" };
  });
  return JSON.stringify(rows, null, 2);
}

/** What became of a row; one without a VIN has failed. */
export function outcomeOfRow(row: ListRow, outcomeOf: OutcomeOf): Outcome {
  return row.vin === undefined
    ? { state: "failed", sentence: row.fault ?? "", likelyVin: row.meant ?? "", isTransient: false }
    : outcomeOf(row.vin);
}

function toRecords(list: ParsedList, outcomeOf: OutcomeOf): string[][] {
  const header = [...list.columns, ...Object.keys(ADDED), "Error"];
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

/** Spreadsheets would run a text of the service as a formula. The user's own cells stay as they are. */
function asText(cell: string): string {
  return /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
}

function quoteCsv(cell: string): string {
  return /[",\r\n;\t]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
