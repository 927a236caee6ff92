import type { Attributes, Decode, Verdict } from "../vehicle/vehicle.ts";
import { isDecoded } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import { readErrorCodes } from "./error-codes.ts";
import { VpicFault } from "./vpic-fault.ts";

/** One vehicle in an answer of a flat endpoint, whose VIN and main members are known to be there. */
export type VpicRow = Readonly<Record<string, unknown>> & { readonly VIN: string };

const REQUIRED = ["VIN", "Make", "Model", "ModelYear", "ErrorCode"] as const;
const NOT_ATTRIBUTES: ReadonlySet<string> = new Set([
  ...REQUIRED,
  "BodyClass",
  "ErrorText",
  "SuggestedVIN",
  "PossibleValues",
  "AdditionalErrorText",
  // No variable of vPIC; as a key of a plain object it would be taken for the prototype.
  "__proto__",
]);
const NOT_APPLICABLE = "Not Applicable";

/**
 * Reads the body of an answer of `DecodeVinValues` or `DecodeVINValuesBatch`. `Count` is not looked at: some years it
 * counted variables.
 *
 * @returns the rows of the known shape, in vPIC's order. One that is not does no harm to the others.
 * @throws VpicFault when the body is not JSON of the known shape.
 */
export function readRows(body: string): readonly VpicRow[] {
  const envelope = parseJson(body);
  if (!isRecord(envelope) || !Array.isArray(envelope["Results"])) {
    throw new VpicFault("foreign", "the answer is JSON without a list of results");
  }
  const rows: readonly unknown[] = envelope["Results"];
  return rows.filter(isRow);
}

/**
 * Finds what an answer says of a VIN, by the VIN in the rows, never by where they stand. Also for a VIN that vPIC could
 * not decode: then make, model and year are empty, and the verdict says why.
 *
 * @param decodedAt in ms since the epoch.
 * @returns undefined when there is no row for it, or one that has neither a vehicle nor an error code.
 */
export function findDecode(rows: readonly VpicRow[], vin: Vin, decodedAt: number): Decode | undefined {
  const row = rows.find((row) => row.VIN.trim().toUpperCase() === vin);
  const decode = row === undefined ? undefined : toDecode(row, vin, decodedAt);
  return decode !== undefined && (isDecoded(decode) || decode.verdict.codes.length > 0) ? decode : undefined;
}

function toDecode(row: VpicRow, vin: Vin, decodedAt: number): Decode {
  return {
    vin,
    make: readText(row["Make"]),
    model: readText(row["Model"]),
    modelYear: readText(row["ModelYear"]),
    bodyClass: readText(row["BodyClass"]),
    source: "vpic",
    decodedAt,
    verdict: toVerdict(row),
    attributes: toAttributes(row),
  };
}

function toVerdict(row: VpicRow): Verdict {
  const errorCode = readText(row["ErrorCode"]);
  const errorText = readText(row["ErrorText"]);
  return {
    codes: readErrorCodes(errorCode),
    // Until 2019 the code's member held the text too.
    text: errorText === "" && /\D{3}/.test(errorCode) ? errorCode : errorText,
    suggestedVin: readText(row["SuggestedVIN"]),
    possibleValues: readText(row["PossibleValues"]),
    additionalText: readText(row["AdditionalErrorText"]),
  };
}

function toAttributes(row: VpicRow): Attributes {
  const entries = Object.entries(row)
    .filter(([name]) => !NOT_ATTRIBUTES.has(name))
    .map(([name, value]) => [name, readText(value)] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== ""));
}

/** Reads a value: trimmed, and empty when vPIC has none or says that there can be none. */
function readText(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") {
    return String(value);
  }
  const text = typeof value === "string" ? value.trim() : "";
  return text === NOT_APPLICABLE ? "" : text;
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new VpicFault("foreign", "the answer is not JSON", { cause: error });
  }
}

function isRow(value: unknown): value is VpicRow {
  return isRecord(value) && REQUIRED.every((name) => typeof value[name] === "string");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
