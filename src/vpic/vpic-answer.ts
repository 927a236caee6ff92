import type { Attributes, Decode, Verdict } from "../vehicle/vehicle.ts";
import { isDecoded } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import { VpicError } from "./vpic-error.ts";

/** One vehicle in an answer of a flat endpoint; it has the VIN and the main members. */
export type VpicRow = Readonly<Record<string, unknown>> & { readonly VIN: string };

const REQUIRED = ["VIN", "Make", "Model", "ModelYear", "ErrorCode"] as const;
const NOT_ATTRIBUTES: ReadonlySet<string> = new Set([
  ...REQUIRED,
  "BodyClass",
  "ErrorText",
  "SuggestedVIN",
  "PossibleValues",
  "AdditionalErrorText",
  // Not a vPIC variable, and as a key of a plain object it would set the prototype.
  "__proto__",
]);
const NOT_APPLICABLE = "Not Applicable";
const DECODED_CLEAN = 0;
/** vPIC's longest texts have 500 characters, and its rows 4 KB. Anything larger is not from vPIC. */
const MAX_FIELD_BYTES = 4 * 1024;
const MAX_ROW_BYTES = 64 * 1024;

/**
 * Parses the body of an answer of `DecodeVinValues` or `DecodeVINValuesBatch`. Ignores `Count`, which in some years was
 * the number of variables.
 *
 * @returns the rows of the known shape and size, in vPIC's order. Other rows are left out, not truncated: a row that is
 *   too large does not come from vPIC and must not replace a good answer.
 * @throws VpicError when the body is not JSON of the known shape.
 */
export function readRows(body: string): readonly VpicRow[] {
  const envelope = parseJson(body);
  if (!isRecord(envelope) || !Array.isArray(envelope["Results"])) {
    throw new VpicError("foreign", "the answer is JSON without a list of results");
  }
  const rows: readonly unknown[] = envelope["Results"];
  return rows.filter(isRow);
}

/**
 * Finds the decode of a VIN in an answer, by the VIN in the rows, never by their order. If vPIC could not decode it,
 * make, model and year are empty, and the verdict says why.
 *
 * @param decodedAt in ms since the epoch.
 * @returns undefined when there is no row for it, or a row that has neither a vehicle nor a reason.
 */
export function findDecode(rows: readonly VpicRow[], vin: Vin, decodedAt: number): Decode | undefined {
  const row = rows.find((row) => row.VIN.trim().toUpperCase() === vin);
  const decode = row === undefined ? undefined : toDecode(row, vin, decodedAt);
  return decode !== undefined && (isDecoded(decode) || hasReason(decode.verdict)) ? decode : undefined;
}

/** "Decoded clean" is not a reason for a row without a vehicle. */
function hasReason({ codes }: Verdict): boolean {
  return codes.length > 0 && !codes.includes(DECODED_CLEAN);
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
    // Until 2019, the member with the codes also had the text.
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

/** Returns a value trimmed; empty when vPIC has none or says that it does not apply. */
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
    throw new VpicError("foreign", "the answer is not JSON", { cause: error });
  }
}

function isRow(value: unknown): value is VpicRow {
  return isRecord(value) && REQUIRED.every((name) => typeof value[name] === "string") && isOfKnownSize(value);
}

function isOfKnownSize(row: Record<string, unknown>): boolean {
  let rowBytes = 0;
  for (const [name, value] of Object.entries(row)) {
    const fieldBytes = typeof value === "string" ? Buffer.byteLength(value) : 0;
    rowBytes += Buffer.byteLength(name) + fieldBytes;
    if (fieldBytes > MAX_FIELD_BYTES || rowBytes > MAX_ROW_BYTES) {
      return false;
    }
  }
  return true;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const CODE_LIST = /^\d{1,4}(?:\s*,\s*\d{1,4})*$/;
const NUMBERED_TEXT = /(?:^|[;,>|])\s*(\d{1,4})\s*-\s/g;

/**
 * Reads vPIC's `ErrorCode`: `"0"`, `"5,14"`, and the form used until 2019, which also had the texts: `"1 - Check Digit
 * (9th position) does not calculate properly; 5 - VIN has errors in few positions"`.
 *
 * @returns the codes in ascending order, without duplicates; none when it has no number that can be a code.
 */
export function readErrorCodes(errorCode: string): readonly number[] {
  const numbers = CODE_LIST.test(errorCode)
    ? errorCode.split(",")
    : Array.from(errorCode.matchAll(NUMBERED_TEXT), ([, number]) => number ?? "");
  const codes = new Set(numbers.map(Number));
  return Array.from(codes).toSorted((a, b) => a - b);
}
