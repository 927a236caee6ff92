import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { LookupResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { VPIC_VARIABLES } from "../vehicle/vpic-variables.ts";
import { suggest } from "./suggest.ts";
import { TableError } from "./table.ts";

/** A column that is added to the user's table. */
interface VehicleColumn {
  readonly name: string;
  readonly valueOf: (vehicle: LookupResponse) => string;
}

const VIN: VehicleColumn = { name: "vin", valueOf: ({ vin }) => vin };

/** The columns that are added by default, without `--columns`. */
const DEFAULT_COLUMNS: readonly VehicleColumn[] = [
  { name: "make", valueOf: ({ make }) => make },
  { name: "model", valueOf: ({ model }) => model },
  { name: "model_year", valueOf: ({ modelYear }) => modelYear },
  { name: "body_class", valueOf: ({ bodyClass }) => bodyClass },
  { name: "verdict", valueOf: ({ verdict }) => verdict?.codes.join(",") ?? "" },
  { name: "verdict_text", valueOf: ({ verdict }) => verdict?.text ?? "" },
  { name: "suggested_vin", valueOf: ({ verdict }) => verdict?.suggestedVin ?? "" },
  { name: "likely_vin", valueOf: ({ verdict }) => verdict?.likelyVin ?? "" },
  { name: "source", valueOf: ({ source }) => (source === Source.VPIC ? "vpic" : "snapshot") },
  { name: "data_date", valueOf: ({ dataDate }) => dataDate },
  {
    name: "decode_time",
    valueOf: ({ decodeTime }) => (decodeTime === undefined ? "" : timestampDate(decodeTime).toISOString()),
  },
];

/** vPIC's variables that are separate members of a vehicle. */
const NOT_ATTRIBUTES = new Set([
  "VIN",
  "Make",
  "Model",
  "ModelYear",
  "BodyClass",
  "ErrorCode",
  "ErrorText",
  "SuggestedVIN",
  "PossibleValues",
  "AdditionalErrorText",
]);

const ATTRIBUTES: readonly VehicleColumn[] = VPIC_VARIABLES.filter((name) => !NOT_ATTRIBUTES.has(name)).map((name) => ({
  name,
  valueOf: ({ attributes }) => attributes[name] ?? "",
}));

/** The last column, which says why a row has no vehicle. */
const ERROR = "error";

export interface ColumnChoice {
  /** Whether to add all attributes. */
  readonly full: boolean;
  /** Names separated by commas, instead of the usual columns. */
  readonly names: string | undefined;
}

/** The columns that are added to the user's table. */
export interface AddedColumns {
  /** Their names in the output. The last one is the column of errors. */
  readonly names: readonly string[];
  /** All but the column of errors. */
  readonly columns: readonly VehicleColumn[];
  /** Whether vehicles need their attributes. */
  readonly needsAttributes: boolean;
}

/**
 * Chooses the columns to add. If the user's table already has a column of that name, the new one gets the prefix
 * `vpic_`.
 *
 * @throws TableError when a name is unknown.
 */
export function chooseColumns({ full, names }: ColumnChoice, usersColumns: readonly string[]): AddedColumns {
  const chosen = names === undefined ? DEFAULT_COLUMNS : names.split(",").map((name) => findColumn(name.trim()));
  const columns = full ? [...chosen, ...ATTRIBUTES.filter((column) => !chosen.includes(column))] : chosen;
  const taken = new Set(usersColumns);
  const free = [...columns.map(({ name }) => name), ERROR].map((name) => {
    let own = name;
    while (taken.has(own)) {
      own = `vpic_${own}`;
    }
    taken.add(own);
    return own;
  });
  return { names: free, columns, needsAttributes: columns.some((column) => ATTRIBUTES.includes(column)) };
}

function findColumn(name: string): VehicleColumn {
  const all = [VIN, ...DEFAULT_COLUMNS, ...ATTRIBUTES];
  const column = all.find((each) => each.name === name);
  if (column === undefined) {
    const known = all.map((each) => each.name);
    throw new TableError(`--columns: unknown column ${name}${suggest(name, known)}`);
  }
  return column;
}
