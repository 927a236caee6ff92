import type { Vehicle } from "../vehicle/vehicle.ts";
import { VPIC_VARIABLES } from "../vehicle/vpic-variables.ts";
import { VPIC_ELEMENTS } from "./vpic-elements.ts";

/** A vehicle in the form of vPIC's flat answers: each variable by name, with an empty string for no value. */
export type FlatRow = Readonly<Record<string, string>>;

const MESSAGE =
  "Results returned successfully. NOTE: Any missing decoded values should be interpreted as NHTSA does not have data on " +
  "the specific variable. Missing value should NOT be interpreted as an indication that a feature or technology is " +
  "unavailable for a vehicle.";

/** The row of a vehicle that a source has decoded. */
export function toFlatRow(
  vehicle: Vehicle & { readonly attributes?: Readonly<Record<string, string>> | undefined },
): FlatRow {
  const { verdict } = vehicle;
  return flatRow({
    ...vehicle.attributes,
    VIN: vehicle.vin,
    Make: vehicle.make,
    Model: vehicle.model,
    ModelYear: vehicle.modelYear,
    BodyClass: vehicle.bodyClass,
    ErrorCode: verdict.codes.join(","),
    ErrorText: verdict.text,
    SuggestedVIN: verdict.suggestedVin,
    PossibleValues: verdict.possibleValues,
    AdditionalErrorText: verdict.additionalText,
  });
}

/** The row of a VIN that could not be decoded. */
export function toErrorRow(vin: string, codes: readonly number[], text: string): FlatRow {
  return flatRow({ VIN: vin, ErrorCode: codes.join(","), ErrorText: text });
}

/** Puts the variables that we know first, in vPIC's order, then those that are newer than our list. */
function flatRow(values: FlatRow): FlatRow {
  return {
    ...Object.fromEntries(VPIC_VARIABLES.map((name) => [name, values[name] ?? ""])),
    ...Object.fromEntries(Object.entries(values).filter(([name]) => !VPIC_VARIABLES.includes(name))),
  };
}

/** The flat names of the ids that long answers have for values, by the flat name of the variable. */
const VALUE_IDS: Readonly<Record<string, string>> = {
  Make: "MakeID",
  Model: "ModelID",
  Manufacturer: "ManufacturerId",
};

/** One row for each variable, as in vPIC's long answers. Only values of make, model and manufacturer have ids. */
export function toLongRows(row: FlatRow): Record<string, unknown>[] {
  return VPIC_ELEMENTS.map(({ flatName, id, name }) => {
    const value = row[flatName] ?? "";
    // Without a value, texts of errors are empty strings and other variables are null.
    const isText = /^(SuggestedVIN|PossibleValues|.*ErrorText)$/.test(flatName);
    const valueId = row[VALUE_IDS[flatName] ?? ""];
    return {
      Value: value === "" && !isText ? null : value,
      ValueId: valueId === undefined || valueId === "" ? null : valueId,
      Variable: name,
      VariableId: id,
    };
  });
}

/** An answer in vPIC's JSON, in parts. */
export function* formatJson(criteria: string, results: readonly object[]): Generator<string> {
  const head = JSON.stringify({ Count: results.length, Message: MESSAGE, SearchCriteria: criteria, Results: [] });
  yield head.slice(0, -"]}".length);
  for (const [index, result] of results.entries()) {
    yield (index === 0 ? "" : ",") + JSON.stringify(result);
  }
  yield "]}";
}

/** The same answer as CSV, in parts. */
export function* formatCsv(results: readonly Readonly<Record<string, unknown>>[]): Generator<string> {
  const [first = {}] = results;
  const names = Object.keys(first);
  yield `${names.map(toCell).join(",")}\r\n`;
  for (const result of results) {
    yield `${names.map((name) => toCell(result[name])).join(",")}\r\n`;
  }
}

function toCell(value: unknown): string {
  const text = typeof value === "string" || typeof value === "number" ? String(value) : "";
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
