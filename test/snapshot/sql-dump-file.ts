type Value = string | number | boolean | null;
export interface DumpTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
}
export type DumpTables = Readonly<Record<string, DumpTable>>;

/** A 2014 tractor of the only make in {@link DUMP_TABLES}. */
export const DUMP_VIN = "1XPWD40X1ED215307";
const SCHEMA_ID = 9;
const UNCHECKED_SCHEMA_ID = 10;
const TIME = "2015-04-14 13:31:17.8";
const IDS_AND_NAMES = ["id", "name"];
const CHANGES = ["createdon", "updatedon"];

/** Every table that the snapshot is built from, with NHTSA's columns and labels, and rows for one model. */
export const DUMP_TABLES: DumpTables = {
  abs: {
    columns: IDS_AND_NAMES,
    rows: [
      [1, "Standard"],
      [2, "Not Available"],
    ],
  },
  bodystyle: {
    columns: IDS_AND_NAMES,
    rows: [
      [60, "Pickup"],
      [66, "Truck-Tractor"],
    ],
  },
  conversion: { columns: ["id", "fromelementid", "toelementid", "formula"], rows: [[1, 11, 12, "#x# / 16.387064 "]] },
  defaultvalue: {
    columns: ["id", "elementid", "vehicletypeid", "defaultvalue", ...CHANGES],
    rows: [[1, 86, 3, "0", TIME, null]],
  },
  defs_body: { columns: ["id", "def", "mode"], rows: [[1, "not needed", 1]] },
  element: {
    columns: ["id", "name", "code", "lookuptable", "description", "isprivate", "isqs", "decode", "weight"],
    rows: [
      [5, "Body Class", "BodyClass", "BodyStyle", "Of\tthe body", false, true, "Pattern", 99],
      [9, "Engine Number of Cylinders", "EngineCylinders", null, null, false, null, "Pattern", 88],
      [18, "Engine Model", "EngineModel", null, null, false, null, "Pattern", 55],
      [24, "Fuel Type - Primary", "FuelTypePrimary", "FuelType", null, false, true, "Pattern", 91],
      [26, "Make", "Make", "Make", null, false, null, "WMI, Pattern", 99],
      [27, "Manufacturer Name", "Manufacturer", "Manufacturer", null, false, null, "WMI", null],
      [28, "Model", "Model", "Model", null, false, null, "Pattern", 99],
      [29, "Model Year", "ModelYear", null, null, false, null, "WMI, Input", 99],
      [39, "Vehicle Type", "VehicleType", "VehicleType", null, false, null, "WMI", 99],
      [86, "Antilock Braking System (ABS)", "ABS", "ABS", null, false, null, "Pattern", null],
      [89, "CAFE Body Type", "CAFEBodyType", "CAFEBodyType", null, true, null, null, null],
      [96, "NCSA Body Type", "NCSABodyType", "vNCSABodyType", null, true, null, "Pattern", null],
      [114, "Note", "Note", null, null, null, null, "Pattern", null],
    ],
  },
  enginemodel: { columns: ["id", "name", "description"], rows: [[102, "ISX 12L", "Cummins: ISX 12l"]] },
  enginemodelpattern: {
    columns: ["id", "enginemodelid", "elementid", "attributeid", ...CHANGES],
    rows: [
      [1, 102, 9, "6", TIME, null],
      [3, 102, 24, "1", TIME, null],
    ],
  },
  errorcode: {
    columns: ["id", "name", "additionalerrortext", "weight"],
    rows: [
      [0, "0 - VIN decoded clean. Check Digit (9th position) is correct", null, 0],
      [8, "8 - No detailed data available currently", null, -1000],
      [14, "14 - Unable to provide information for some of the characters in the VIN", null, -30],
    ],
  },
  fueltype: {
    columns: IDS_AND_NAMES,
    rows: [
      [1, "Diesel"],
      [4, "Gasoline"],
    ],
  },
  make: { columns: [...IDS_AND_NAMES, ...CHANGES], rows: [[509, "Peterbilt", TIME, null]] },
  make_model: { columns: ["id", "makeid", "modelid", ...CHANGES], rows: [[1, 509, 5571, TIME, null]] },
  manufacturer: { columns: IDS_AND_NAMES, rows: [[1033, "Peterbilt Motors Company"]] },
  model: { columns: [...IDS_AND_NAMES, ...CHANGES], rows: [[5571, "388", TIME, null]] },
  pattern: {
    columns: ["id", "vinschemaid", "keys", "elementid", "attributeid", ...CHANGES],
    rows: [
      [1, SCHEMA_ID, "WD4", 28, "5571", TIME, "2026-02-17 08:00:00"],
      [2, SCHEMA_ID, "****X", 5, "66", TIME, null],
      [3, SCHEMA_ID, "W[A-D]", 18, "ISX 12L", TIME, null],
      [4, SCHEMA_ID, "*****|E", 86, "1", TIME, null],
      [5, SCHEMA_ID, "WD40", 96, "3", TIME, null],
      [6, SCHEMA_ID, "WD40", 114, 'Day\tcab "A\\B",\nÉlan', TIME, null],
      [7, UNCHECKED_SCHEMA_ID, "WD40X|ED2", 5, "60", "2026-03-01 00:00:00", null],
    ],
  },
  vehiclespecpattern: {
    columns: ["id", "vspecschemapatternid", "iskey", "elementid", "attributeid", ...CHANGES],
    rows: [
      [1, 7, true, 5, "66", TIME, null],
      [2, 7, false, 24, "4", TIME, null],
    ],
  },
  vehiclespecschema: {
    columns: ["id", "makeid", ...CHANGES, "vehicletypeid", "sourcedate", "tobeqced"],
    rows: [[5, 509, TIME, null, 3, null, null]],
  },
  vehiclespecschema_model: { columns: ["id", "vehiclespecschemaid", "modelid"], rows: [[1, 5, 5571]] },
  vehiclespecschema_year: { columns: ["id", "vehiclespecschemaid", "year"], rows: [[1, 5, 2014]] },
  vehicletype: {
    columns: [...IDS_AND_NAMES, "displayorder", "formtype", "description", "includeinequipplant"],
    rows: [
      [2, "Passenger Car", 1, 1, null, true],
      [3, "Truck", 2, 1, null, true],
    ],
  },
  vindescriptor: {
    columns: ["id", "descriptor", "modelyear", ...CHANGES],
    rows: [[1, "1XPWD40X*FD", 2014, TIME, null]],
  },
  vinexception: {
    columns: ["id", "vin", "checkdigit", ...CHANGES],
    rows: [[1, "1XPWD40X2ED215307", true, TIME, null]],
  },
  vinschema: {
    columns: [...IDS_AND_NAMES, "sourcewmi", ...CHANGES, "tobeqced"],
    rows: [
      [SCHEMA_ID, "Peterbilt 2010 and later", "1XP", TIME, null, null],
      [UNCHECKED_SCHEMA_ID, "Peterbilt, to be checked", "1XP", TIME, null, true],
    ],
  },
  vspecschemapattern: { columns: ["id", "schemaid"], rows: [[7, 5]] },
  wmi: {
    columns: [
      "id",
      "wmi",
      "manufacturerid",
      "makeid",
      "vehicletypeid",
      ...CHANGES,
      "countryid",
      "publicavailabilitydate",
      "trucktypeid",
    ],
    rows: [[2180, "1XP", 1033, null, 3, TIME, null, 6, "2015-01-01 00:00:00", 2]],
  },
  wmi_make: { columns: ["wmiid", "makeid"], rows: [[2180, 509]] },
  wmi_vinschema: {
    columns: ["id", "wmiid", "vinschemaid", "yearfrom", "yearto", "orgid"],
    rows: [
      [1, 2180, SCHEMA_ID, 2010, null, null],
      [2, 2180, UNCHECKED_SCHEMA_ID, 2010, 2020, null],
    ],
  },
  wmiyearvalidchars: {
    columns: ["id", "wmi", "year", "position", "char"],
    rows: [
      [1, "1XP", 2014, 4, "W"],
      [2, "1XP", 2014, 5, "D"],
    ],
  },
};

/** These tables in the form of pg_dump. */
export function formatDump(tables: DumpTables): string {
  const blocks = Object.entries(tables).map(([name, { columns, rows }]) =>
    [
      `--\n-- Data for Name: ${name}; Type: TABLE DATA; Schema: vpic; Owner: -\n--\n`,
      `COPY vpic.${name} (${columns.join(", ")}) FROM stdin;`,
      ...rows.map((row) => row.map(formatValue).join("\t")),
      "\\.\n\n",
    ].join("\n"),
  );
  return `--
-- PostgreSQL database dump
--

\\restrict Zm9vYmFy

SET statement_timeout = 0;
SET client_encoding = 'UTF8';

CREATE SCHEMA vpic;

CREATE FUNCTION vpic.felementattributevalue(pelementid integer, pattributeid character varying) RETURNS text
    LANGUAGE plpgsql
    AS $$
BEGIN
  -- COPY vpic.pattern (id) would be wrong here.
  RETURN (SELECT name FROM vpic.abs);
END;
$$;

CREATE TABLE vpic.abs (
    id integer NOT NULL,
    name character varying(250) NOT NULL
);

${blocks.join("")}
ALTER TABLE ONLY vpic.abs
    ADD CONSTRAINT pk_abs PRIMARY KEY (id);

--
-- PostgreSQL database dump complete
--

\\unrestrict Zm9vYmFy

`;
}

/** The tables with changed rows or columns in one of them. */
export function withTable(name: string, change: Partial<DumpTable>): DumpTables {
  const { columns = [], rows = [] } = { ...DUMP_TABLES[name], ...change };
  return { ...DUMP_TABLES, [name]: { columns, rows } };
}

export function withoutTable(name: string): DumpTables {
  return Object.fromEntries(Object.entries(DUMP_TABLES).filter(([table]) => table !== name));
}

function formatValue(value: Value): string {
  if (value === null) {
    return "\\N";
  }
  if (typeof value === "boolean") {
    return value ? "t" : "f";
  }
  const text = String(value).replaceAll("\\", "\\\\");
  return text.replaceAll("\t", "\\t").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
}
