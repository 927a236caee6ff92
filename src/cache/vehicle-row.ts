import type { Attributes, CachedVehicle, Decode, SourceName, VehicleQuery, Verdict, View } from "../vehicle/vehicle.ts";
import { isDecoded } from "../vehicle/vehicle.ts";

/** The columns of the key, in the order of {@link toKey}. */
export const KEY_COLUMNS = ["vin", "model_year_hint"] as const;

const BASIC_COLUMNS = [
  ...KEY_COLUMNS,
  "make",
  "model",
  "model_year",
  "body_class",
  "source",
  "is_negative",
  "decoded_at",
  "verdict_codes",
  "verdict_text",
  "suggested_vin",
  "possible_values",
  "additional_text",
] as const;

/** Every column of `vehicles`, in the table's order and that of {@link toRow}. */
export const ALL_COLUMNS = [...BASIC_COLUMNS, "attributes"] as const;

/** A value of a row; PostgreSQL gives big integers as text. */
export type Cell = string | number;

/** The columns that a view needs, in the order that {@link fromRow} expects. */
export function columnsOf(view: View): readonly string[] {
  return view === "full" ? ALL_COLUMNS : BASIC_COLUMNS;
}

/** The key of an entry, as stored. */
export function toKey(query: VehicleQuery): [vin: string, modelYearHint: number] {
  return [query.vin, query.modelYear ?? 0];
}

export function toRow(query: VehicleQuery, decode: Decode): Cell[] {
  const { verdict } = decode;
  return [
    ...toKey(query),
    toText(decode.make),
    toText(decode.model),
    toText(decode.modelYear),
    toText(decode.bodyClass),
    decode.source,
    isDecoded(decode) ? 0 : 1,
    Math.trunc(decode.decodedAt),
    verdict.codes.join(","),
    toText(verdict.text),
    toText(verdict.suggestedVin),
    toText(verdict.possibleValues),
    toText(verdict.additionalText),
    JSON.stringify(decode.attributes),
  ];
}

/**
 * The entry that a row holds, or undefined when the row is not one of this key as we write them: a row that was damaged
 * in a way the database cannot see is a miss, and the next decode replaces it.
 */
export function fromRow(query: VehicleQuery, row: readonly unknown[]): CachedVehicle | undefined {
  const [vin, hint, make, model, modelYear, bodyClass, source, , decodedAt, ...rest] = row;
  const [codes, text, suggestedVin, possibleValues, additionalText, attributesJson] = rest;
  const verdict = toVerdict([codes, text, suggestedVin, possibleValues, additionalText]);
  const isOfKey = vin === query.vin && Number(hint) === (query.modelYear ?? 0);
  const time = Number(decodedAt);
  if (!isOfKey || !isSource(source) || !Number.isSafeInteger(time) || verdict === undefined) {
    return undefined;
  }
  if (!isText(make) || !isText(model) || !isText(modelYear) || !isText(bodyClass)) {
    return undefined;
  }
  const vehicle = { vin: query.vin, make, model, modelYear, bodyClass, source, decodedAt: time, verdict };
  if (attributesJson === undefined) {
    return vehicle;
  }
  const attributes = parseAttributes(attributesJson);
  return attributes === undefined ? undefined : { ...vehicle, attributes };
}

/**
 * PostgreSQL cannot hold NUL, and neither database unpaired surrogates; no text of vPIC has them. They become U+FFFD, in
 * both databases alike.
 */
function toText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}

function toVerdict(cells: readonly unknown[]): Verdict | undefined {
  const [codes, text, suggestedVin, possibleValues, additionalText] = cells;
  if (!isText(codes) || !isText(text) || !isText(suggestedVin) || !isText(possibleValues) || !isText(additionalText)) {
    return undefined;
  }
  return { codes: parseCodes(codes), text, suggestedVin, possibleValues, additionalText };
}

function parseCodes(codes: string): number[] {
  return codes === "" ? [] : codes.split(",").map(Number);
}

function parseAttributes(json: unknown): Attributes | undefined {
  if (!isText(json)) {
    return undefined;
  }
  try {
    const attributes: unknown = JSON.parse(json);
    return isAttributes(attributes) ? attributes : undefined;
  } catch {
    return undefined;
  }
}

function isAttributes(value: unknown): value is Attributes {
  return typeof value === "object" && value !== null && Object.values(value).every(isText);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isSource(value: unknown): value is SourceName {
  return value === "vpic" || value === "snapshot";
}
