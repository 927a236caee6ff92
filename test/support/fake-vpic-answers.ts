/** What the fake vPIC knows about a VIN: members of a flat answer, by vPIC's names. */
export type VpicFacts = Readonly<Record<string, string>>;

/** A requested VIN, with the model year if the request has one. */
export interface AskedVin {
  readonly vin: string;
  readonly modelYear: string | undefined;
}

const MESSAGE =
  "Results returned successfully. NOTE: Any missing decoded values should be interpreted as NHTSA does not have " +
  "data on the specific variable. Missing value should NOT be interpreted as an indication that a feature or " +
  "technology is unavailable for a vehicle.";

/** A plain clean decode; every member of vPIC's flat answers is a string, and a missing value is empty. */
const DEFAULT_FACTS: VpicFacts = {
  ABS: "",
  AdditionalErrorText: "",
  BodyClass: "Truck-Tractor",
  BusType: "Not Applicable",
  DisplacementL: "12.9",
  Doors: "",
  EngineCylinders: "6",
  EngineManufacturer: "Cummins",
  ErrorCode: "0",
  ErrorText: "0 - VIN decoded clean. Check Digit (9th position) is correct",
  FuelTypePrimary: "Diesel",
  GVWR: "Class 8: 33,001 lb and above (14,969 kg and above)",
  Make: "PETERBILT",
  MakeID: "444",
  Manufacturer: "PACCAR INC",
  Model: "579",
  ModelYear: "2014",
  PlantCountry: "UNITED STATES (USA)",
  PossibleValues: "",
  Series: "",
  SuggestedVIN: "",
  TrailerType: "Not Applicable",
  VehicleType: "TRUCK ",
};

/** The answer for a VIN that vPIC does not know. */
export const UNKNOWN_FACTS: VpicFacts = {
  ...Object.fromEntries(Object.keys(DEFAULT_FACTS).map((name) => [name, ""])),
  ErrorCode: "7,14",
  ErrorText:
    "7 - Manufacturer is not registered with NHTSA for sale or importation in the U.S. for use on U.S roads; Please " +
    "contact the manufacturer directly for more information; 14 - Unable to provide information for some of the " +
    "characters in the VIN, based on the manufacturer submission.",
};

/** One row of a flat answer. The model year of the request overrides that of the facts. */
export function toRow({ vin, modelYear }: AskedVin, facts: VpicFacts): VpicFacts {
  return { ...DEFAULT_FACTS, ...(modelYear === undefined ? {} : { ModelYear: modelYear }), ...facts, VIN: vin };
}

/** The current flat envelope. */
export function toEnvelope(searchCriteria: string, rows: readonly VpicFacts[]): object {
  return { Count: rows.length, Message: MESSAGE, SearchCriteria: searchCriteria, Results: rows };
}

/** The same answer as vPIC gave it in 2018: `Count` of variables, and the error's text in the code. */
export function toEnvelopeOf2018(searchCriteria: string, rows: readonly VpicFacts[]): object {
  const oldRows = rows.map((row) => {
    const { ErrorText: text, ...rest } = row;
    return { ...rest, ErrorCode: text ?? "" };
  });
  return { Count: 116, Message: "Results returned successfully", SearchCriteria: searchCriteria, Results: oldRows };
}
