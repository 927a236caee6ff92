import Database from "better-sqlite3";
import { SOURCE_COLUMNS } from "../../src/snapshot/source-tables.ts";

/** A 2014 car of the only make in {@link writeVpicDatabase}. */
export const SMALL_DATABASE_VIN = "1AB1A2C5XEA000001";

const ROWS: Readonly<Record<string, readonly Readonly<Record<string, string | number>>[]>> = {
  Element: [
    { Id: 5, Code: "BodyClass", LookupTable: "BodyStyle", Decode: "Pattern", weight: 99 },
    { Id: 26, Code: "Make", LookupTable: "Make", Decode: "Pattern", weight: 99 },
    { Id: 28, Code: "Model", LookupTable: "Model", Decode: "Pattern", weight: 99 },
    { Id: 29, Code: "ModelYear", Decode: "Input", weight: 99 },
  ],
  Make: [{ Id: 1, Name: "Testa" }],
  Make_Model: [{ Id: 1, MakeId: 1, ModelId: 7 }],
  Manufacturer: [{ Id: 3, Name: "Testa Works" }],
  Model: [{ Id: 7, Name: "Rossa" }],
  Pattern: [
    { Id: 1, VinSchemaId: 9, Keys: "1A*", ElementId: 28, AttributeId: "7", CreatedOn: "2025-05-06 10:00:00" },
    { Id: 2, VinSchemaId: 9, Keys: "**[0-3]", ElementId: 5, AttributeId: "3", CreatedOn: "2024-05-06 10:00:00" },
  ],
  VehicleType: [{ Id: 2, Name: "Passenger Car" }],
  VinSchema: [{ Id: 9 }],
  Wmi: [{ Id: 4, Wmi: "1AB", ManufacturerId: 3, VehicleTypeId: 2, PublicAvailabilityDate: "2015-01-01" }],
  Wmi_Make: [{ WmiId: 4, MakeId: 1 }],
  Wmi_VinSchema: [{ Id: 1, WmiId: 4, VinSchemaId: 9, YearFrom: 2010 }],
};

/** Writes a database with NHTSA's schema and one model, which is quick to unpack. */
export function writeVpicDatabase(path: string, withoutTable?: string): void {
  const database = new Database(path);
  for (const [table, columns] of Object.entries(SOURCE_COLUMNS)) {
    if (table !== withoutTable) {
      database.exec(`CREATE TABLE ${table} (${columns.join(", ")})`);
      insertRows(database, table);
    }
  }
  database.exec("CREATE TABLE BodyStyle (Id, Name); INSERT INTO BodyStyle VALUES (3, 'Coupe')");
  database.close();
}

function insertRows(database: Database.Database, table: string): void {
  for (const row of ROWS[table] ?? []) {
    const columns = Object.keys(row);
    database
      .prepare(`INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`)
      .run(...Object.values(row));
  }
}
