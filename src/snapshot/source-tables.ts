import Database from "better-sqlite3";
import { SnapshotError } from "./snapshot-error.ts";

/** The columns of NHTSA's database from which the snapshot is built. */
export const SOURCE_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  Conversion: ["Id", "FromElementId", "ToElementId", "Formula"],
  Element: ["Id", "Code", "LookupTable", "IsPrivate", "Decode", "weight"],
  EngineModel: ["Id", "Name"],
  EngineModelPattern: ["Id", "EngineModelId", "ElementId", "AttributeId", "CreatedOn", "UpdatedOn"],
  Make: ["Id", "Name"],
  Make_Model: ["Id", "MakeId", "ModelId"],
  Manufacturer: ["Id", "Name"],
  Model: ["Id", "Name"],
  Pattern: ["Id", "VinSchemaId", "Keys", "ElementId", "AttributeId", "CreatedOn", "UpdatedOn"],
  VehicleType: ["Id", "Name"],
  VinSchema: ["Id", "TobeQCed"],
  Wmi: ["Id", "Wmi", "ManufacturerId", "VehicleTypeId", "TruckTypeId", "PublicAvailabilityDate"],
  Wmi_Make: ["WmiId", "MakeId"],
  Wmi_VinSchema: ["Id", "WmiId", "VinSchemaId", "YearFrom", "YearTo"],
};

/** The columns that only NHTSA's monthly file has. With them, the snapshot decodes as NHTSA's own procedure does. */
export const FULL_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  DefaultValue: ["Id", "ElementId", "VehicleTypeId", "DefaultValue"],
  ErrorCode: ["Id", "Name", "AdditionalErrorText", "weight"],
  VehicleSpecPattern: ["Id", "VSpecSchemaPatternId", "IsKey", "ElementId", "AttributeId", "CreatedOn", "UpdatedOn"],
  VehicleSpecSchema: ["Id", "MakeId", "VehicleTypeId", "TobeQCed"],
  VehicleSpecSchema_Model: ["VehicleSpecSchemaId", "ModelId"],
  VehicleSpecSchema_Year: ["VehicleSpecSchemaId", "Year"],
  VinDescriptor: ["Descriptor", "ModelYear"],
  VinException: ["VIN", "CheckDigit"],
  VSpecSchemaPattern: ["Id", "SchemaId"],
};

/** The variables that NHTSA makes public. */
export const PUBLIC_ELEMENTS =
  "Element WHERE coalesce(Decode, '') <> '' AND coalesce(IsPrivate, 0) = 0 AND Code IS NOT NULL";

export function openSource(path: string): Database.Database & Disposable {
  let database: Database.Database | undefined;
  try {
    database = new Database(path);
    // Published files may be in write-ahead mode, which would create more files next to them.
    database.exec("PRAGMA journal_mode = OFF; PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -4096");
    database.prepare("SELECT count(*) FROM sqlite_master").get();
  } catch (cause) {
    database?.close();
    throw new SnapshotError("database", "it is not a readable SQLite database", { cause });
  }
  const opened = database;
  return Object.assign(opened, { [Symbol.dispose]: () => opened.close() });
}

/**
 * Checks that the source has what the snapshot is built from.
 *
 * @returns whether it is complete: it also has all that only NHTSA's monthly file has.
 */
export function requireColumns(source: Database.Database): boolean {
  requireTables(source, SOURCE_COLUMNS);
  const isComplete = Object.keys(FULL_COLUMNS).every((table) => columnsOf(source, table).size > 0);
  if (isComplete) {
    requireTables(source, FULL_COLUMNS);
  }
  return isComplete;
}

function columnsOf(source: Database.Database, table: string): Set<string> {
  const columns = source.prepare<[string], string>("SELECT lower(name) FROM pragma_table_info(?)").pluck();
  return new Set(columns.all(table));
}

function requireTables(source: Database.Database, tables: typeof SOURCE_COLUMNS): void {
  for (const [table, wanted] of Object.entries(tables)) {
    const found = columnsOf(source, table);
    if (found.size === 0) {
      throw new SnapshotError("database", `it is not a vPIC database: there is no table ${table}`);
    }
    const missing = wanted.filter((column) => !found.has(column.toLowerCase()));
    if (missing.length > 0) {
      throw new SnapshotError(
        "database",
        `it is not a vPIC database: table ${table} has no column ${missing.join(", ")}`,
      );
    }
  }
}
