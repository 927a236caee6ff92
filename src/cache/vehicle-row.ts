import type { Attributes, CachedVehicle, Decode, SourceName, VehicleQuery, View } from "../vehicle/vehicle.ts";
import { isDecoded } from "../vehicle/vehicle.ts";
import { isOldGuess } from "./old-guess.ts";
import { columnOf, PROPERTIES, type VehicleProperty } from "./vehicle-entity.ts";

/** The columns of the key, in the order of {@link toKey}. */
export const KEY_COLUMNS = [columnOf("vin"), columnOf("modelYearHint")];

/** Every column of `vehicles`, in the table's order and that of {@link toRow}. */
export const ALL_COLUMNS = PROPERTIES.map(columnOf);

/**
 * The columns that a view needs, as expressions in the order that {@link fromRow} expects. The attributes come last. They
 * are null when they are too large; the database does not read them then.
 */
export function columnsOf(view: View): readonly string[] {
  const basic = ALL_COLUMNS.slice(0, AT.attributes);
  const attributes = columnOf("attributes");
  return view === "basic"
    ? basic
    : [...basic, `case when octet_length(${attributes}) <= ${MAX_ATTRIBUTES_BYTES} then ${attributes} end`];
}

/** A value of a row; PostgreSQL gives big integers as text. */
export type Cell = string | number | null;

/** The position of a property in a row. */
const AT = {
  vin: at("vin"),
  modelYearHint: at("modelYearHint"),
  make: at("make"),
  model: at("model"),
  modelYear: at("modelYear"),
  bodyClass: at("bodyClass"),
  source: at("source"),
  decodedAt: at("decodedAt"),
  verdictCodes: at("verdictCodes"),
  verdictText: at("verdictText"),
  suggestedVin: at("suggestedVin"),
  possibleValues: at("possibleValues"),
  additionalText: at("additionalText"),
  likelyVin: at("likelyVin"),
  dataDate: at("dataDate"),
  attributes: at("attributes"),
} satisfies Partial<Record<VehicleProperty, number>>;

/** The end of the year 9999, in ms since the epoch: the latest time that the contract's timestamps can have. */
const LATEST_TIME = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/**
 * Version 0.1.0 stored attributes of any size, and a batch of such rows does not fit into memory. vPIC's rows have 4
 * KB. The limit is above the largest attributes that the vPIC source accepts, as JSON.
 */
const MAX_ATTRIBUTES_BYTES = 262_144;

const DIGITS = /^\d+$/;

/** vPIC's codes have up to four digits. */
const VERDICT_CODES = /^\d{1,9}(,\d{1,9})*$/;

/** The key of an entry, as stored. */
export function toKey(query: VehicleQuery): [vin: string, modelYearHint: number] {
  return [query.vin, query.modelYear ?? 0];
}

export function toRow(query: VehicleQuery, decode: Decode): Cell[] {
  const { verdict } = decode;
  const record: Record<VehicleProperty, Cell> = {
    vin: query.vin,
    modelYearHint: query.modelYear ?? 0,
    make: toText(decode.make),
    model: toText(decode.model),
    modelYear: toText(decode.modelYear),
    bodyClass: toText(decode.bodyClass),
    source: decode.source,
    isNegative: isDecoded(decode) ? 0 : 1,
    decodedAt: Math.trunc(decode.decodedAt),
    verdictCodes: verdict.codes.join(","),
    verdictText: toText(verdict.text),
    suggestedVin: toText(verdict.suggestedVin),
    possibleValues: toText(verdict.possibleValues),
    additionalText: toText(verdict.additionalText),
    likelyVin: decode.likelyVin ?? null,
    dataDate: decode.dataDate ?? null,
    attributes: JSON.stringify(decode.attributes),
  };
  return PROPERTIES.map((property) => record[property]);
}

/**
 * The entry of a row. Undefined if the row does not have this key, or is damaged in a way that the database does not
 * notice. The read is then a miss, and the next decode replaces the row.
 */
export function fromRow(query: VehicleQuery, row: readonly unknown[]): CachedVehicle | undefined {
  const make = row[AT.make];
  const model = row[AT.model];
  const modelYear = row[AT.modelYear];
  const bodyClass = row[AT.bodyClass];
  const source = toSource(row[AT.source]);
  const decodedAt = toTime(row[AT.decodedAt]);
  const codes = toCodes(row[AT.verdictCodes]);
  const text = row[AT.verdictText];
  const suggestedVin = row[AT.suggestedVin];
  const possibleValues = row[AT.possibleValues];
  const additionalText = row[AT.additionalText];
  const likelyVin = row[AT.likelyVin] ?? undefined;
  const dataDate = row[AT.dataDate] ?? undefined;
  if (
    row[AT.vin] !== query.vin ||
    Number(row[AT.modelYearHint]) !== (query.modelYear ?? 0) ||
    !isText(make) ||
    !isText(model) ||
    !isText(modelYear) ||
    !isText(bodyClass) ||
    source === undefined ||
    decodedAt === undefined ||
    codes === undefined ||
    !isText(text) ||
    !isText(suggestedVin) ||
    !isText(possibleValues) ||
    !isText(additionalText) ||
    !isOptionalText(likelyVin) ||
    !isOptionalText(dataDate)
  ) {
    return undefined;
  }
  const verdict = {
    codes,
    text,
    suggestedVin: isOldGuess(codes, suggestedVin) ? "" : suggestedVin,
    possibleValues,
    additionalText,
  };
  const vehicle = {
    vin: query.vin,
    make,
    model,
    modelYear,
    bodyClass,
    source,
    decodedAt,
    verdict,
    // Version 0.1.0 clears neither of them when it replaces a decode. But a decode with a model never has a guess, and
    // a decode of vPIC never has a date.
    likelyVin: model === "" ? likelyVin : undefined,
    dataDate: source === "snapshot" ? dataDate : undefined,
  };
  if (row.length <= AT.attributes) {
    return vehicle;
  }
  const attributes = parseAttributes(row[AT.attributes]);
  return attributes === undefined ? undefined : { ...vehicle, attributes };
}

function at(property: VehicleProperty): number {
  return PROPERTIES.indexOf(property);
}

/**
 * Replaces NUL, which PostgreSQL cannot store, and unpaired surrogates, which neither database can store, by U+FFFD.
 * vPIC sends neither.
 */
function toText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}

/** The time in a cell, in ms since the epoch, if the contract can express it. */
function toTime(cell: unknown): number | undefined {
  const time = isText(cell) && DIGITS.test(cell) ? Number(cell) : cell;
  return typeof time === "number" && Number.isSafeInteger(time) && time >= 0 && time <= LATEST_TIME ? time : undefined;
}

function toCodes(cell: unknown): number[] | undefined {
  if (cell === "") {
    return [];
  }
  return isText(cell) && VERDICT_CODES.test(cell) ? cell.split(",").map(Number) : undefined;
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
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every(isText);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || isText(value);
}

/** Returns a constant, because V8 is slow at looking up properties by strings that it has just created. */
function toSource(cell: unknown): SourceName | undefined {
  if (cell === "vpic") {
    return "vpic";
  }
  return cell === "snapshot" ? "snapshot" : undefined;
}
