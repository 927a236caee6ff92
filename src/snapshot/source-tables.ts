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

/** The variables that NHTSA makes public. */
export const PUBLIC_ELEMENTS =
  "Element WHERE coalesce(Decode, '') <> '' AND coalesce(IsPrivate, 0) = 0 AND Code IS NOT NULL";

export function openSource(path: string): Database.Database & Disposable {
  let database: Database.Database | undefined;
  try {
    database = new Database(path);
    // Published files may be in write-ahead mode, which would create more files next to them.
    database.exec("PRAGMA journal_mode = OFF; PRAGMA locking_mode = EXCLUSIVE");
    database.prepare("SELECT count(*) FROM sqlite_master").get();
  } catch (cause) {
    database?.close();
    throw new SnapshotError("database", "it is not a readable SQLite database", { cause });
  }
  const opened = database;
  return Object.assign(opened, { [Symbol.dispose]: () => opened.close() });
}

export function requireColumns(source: Database.Database): void {
  const columns = source.prepare<[string], { name: string }>("SELECT name FROM pragma_table_info(?)");
  for (const [table, wanted] of Object.entries(SOURCE_COLUMNS)) {
    const found = new Set(columns.all(table).map((column) => column.name.toLowerCase()));
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
