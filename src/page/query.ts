/** What is asked of the service. */
export interface Query {
  readonly vin: string;
  /** Undefined when the year is the one that the VIN implies. */
  readonly modelYear: number | undefined;
}

const FIRST_YEAR = 1980;
const YEARS_AHEAD = 2;
/** Spreadsheets may write a year as 2014.0. */
const YEAR = /^\s*(\d{4})(?:\.0*)?\s*$/;

/** The model years that the service accepts: from 1980 to two years from now. */
export function modelYearRange(): { readonly first: number; readonly last: number } {
  return { first: FIRST_YEAR, last: new Date().getUTCFullYear() + YEARS_AHEAD };
}

/** The model year that a text is; undefined when the service would not accept it. */
export function parseModelYear(text: string): number | undefined {
  const { first, last } = modelYearRange();
  const year = Number(YEAR.exec(text)?.[1]);
  return year >= first && year <= last ? year : undefined;
}

/** The same text for the same query, and another one for any other. */
export function keyOf({ vin, modelYear }: Query): string {
  return `${vin} ${modelYear ?? ""}`;
}

/** A query as fields of a request. */
export function toFields({ vin, modelYear }: Query): { vin: string; modelYear?: number } {
  return modelYear === undefined ? { vin } : { vin, modelYear };
}
