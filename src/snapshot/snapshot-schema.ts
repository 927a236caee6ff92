import { ELEMENTS_NOT_FROM_PATTERNS } from "./nhtsa-tables.ts";

/** Raised whenever the tables below, or how they are filled, change: an unpacked file of another version is rebuilt. */
export const SNAPSHOT_VERSION = 2;

/** The columns of NHTSA's database that the snapshot is made from. */
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

/** The snapshot's own tables: what decoding reads, each in the order in which it is read. */
export const CREATE_TABLES = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE element (id INTEGER PRIMARY KEY, code TEXT NOT NULL, lookup_table TEXT, weight INTEGER);
  CREATE TABLE lookup (table_name TEXT, id TEXT, name TEXT NOT NULL, PRIMARY KEY (table_name, id)) WITHOUT ROWID;
  CREATE TABLE conversion (id INTEGER PRIMARY KEY, from_element_id INTEGER, to_element_id INTEGER, formula TEXT);
  CREATE TABLE wmi (
    wmi TEXT PRIMARY KEY, id INTEGER NOT NULL, available_on TEXT, vehicle_type_id INTEGER, vehicle_type TEXT,
    truck_type_id INTEGER, manufacturer_id INTEGER, manufacturer TEXT, make_id INTEGER, make TEXT
  ) WITHOUT ROWID;
  CREATE TABLE wmi_schema (
    wmi_id INTEGER, year_from INTEGER, year_to INTEGER, id INTEGER, schema_id INTEGER NOT NULL,
    PRIMARY KEY (wmi_id, year_from, year_to, id)
  ) WITHOUT ROWID;
  CREATE TABLE pattern (
    schema_id INTEGER, id INTEGER, glob TEXT NOT NULL, element_id INTEGER NOT NULL, attribute_id TEXT NOT NULL,
    changed_on TEXT NOT NULL, PRIMARY KEY (schema_id, id)
  ) WITHOUT ROWID;
  CREATE TABLE formula_pattern (
    schema_id INTEGER, id INTEGER, keys TEXT NOT NULL, element_id INTEGER NOT NULL, attribute_id TEXT NOT NULL,
    changed_on TEXT NOT NULL, PRIMARY KEY (schema_id, id)
  ) WITHOUT ROWID;
  CREATE TABLE engine_model_pattern (
    name TEXT, id INTEGER, element_id INTEGER NOT NULL, attribute_id TEXT NOT NULL, changed_on TEXT NOT NULL,
    PRIMARY KEY (name, id)
  ) WITHOUT ROWID;
  CREATE TABLE model (id INTEGER PRIMARY KEY, name TEXT NOT NULL, make_id INTEGER, make TEXT);
`;

/** The small tables, which the patterns are then chosen by. NHTSA's database is attached as `source`. */
export const FILL_SMALL_TABLES = `
  INSERT INTO element SELECT Id, Code, LookupTable, weight FROM source.Element
    WHERE coalesce(Decode, '') <> '' AND coalesce(IsPrivate, 0) = 0 AND Code IS NOT NULL;
  INSERT INTO conversion SELECT Id, FromElementId, ToElementId, Formula FROM source.Conversion;
  INSERT INTO wmi
    SELECT w.Wmi, w.Id, w.PublicAvailabilityDate, t.Id, t.Name, w.TruckTypeId, f.Id, f.Name, m.Id, m.Name
    FROM source.Wmi w
    LEFT JOIN source.VehicleType t ON t.Id = w.VehicleTypeId
    LEFT JOIN source.Manufacturer f ON f.Id = w.ManufacturerId
    LEFT JOIN (
      SELECT wm.WmiId, min(wm.MakeId) AS MakeId FROM source.Wmi_Make wm JOIN source.Make ON Make.Id = wm.MakeId
      GROUP BY wm.WmiId HAVING count(*) = 1
    ) AS sole ON sole.WmiId = w.Id
    LEFT JOIN source.Make m ON m.Id = sole.MakeId;
  INSERT INTO wmi_schema
    SELECT wvs.WmiId, wvs.YearFrom, coalesce(wvs.YearTo, 2999), wvs.Id, wvs.VinSchemaId
    FROM source.Wmi_VinSchema wvs JOIN source.VinSchema vs ON vs.Id = wvs.VinSchemaId;
  INSERT INTO engine_model_pattern
    SELECT lower(trim(em.Name)), p.Id, p.ElementId, p.AttributeId, coalesce(p.UpdatedOn, p.CreatedOn, '')
    FROM source.EngineModel em JOIN source.EngineModelPattern p ON p.EngineModelId = em.Id
    WHERE p.ElementId IN (SELECT id FROM element);
  INSERT INTO model
    SELECT m.Id, m.Name, k.Id, k.Name FROM source.Model m
    LEFT JOIN (SELECT ModelId, MakeId, min(Id) FROM source.Make_Model GROUP BY ModelId) mm ON mm.ModelId = m.Id
    LEFT JOIN source.Make k ON k.Id = mm.MakeId;
  CREATE TEMP TABLE wanted_schema (id INTEGER PRIMARY KEY);
  INSERT INTO wanted_schema
    SELECT DISTINCT s.schema_id FROM wmi_schema s
    JOIN wmi w ON w.id = s.wmi_id AND w.available_on IS NOT NULL
    JOIN source.VinSchema vs ON vs.Id = s.schema_id AND coalesce(vs.TobeQCed, 0) = 0;
`;

const ARE_CANDIDATES = `
  VinSchemaId IN (SELECT id FROM wanted_schema)
  AND ElementId IN (SELECT id FROM element) AND ElementId NOT IN (${ELEMENTS_NOT_FROM_PATTERNS.join(", ")})
`;

/**
 * The patterns, in a form that SQLite itself can match: NHTSA's `*` is GLOB's `?`, sets are written alike, and a pattern
 * may be shorter than the key. `1-A` means 1 and A to NHTSA, not all that lies between them.
 */
export const FILL_PATTERNS = `
  INSERT INTO pattern
    SELECT VinSchemaId, Id, replace(replace(upper(Keys), '*', '?'), '1-A', '1A') || '*', ElementId, AttributeId,
      coalesce(UpdatedOn, CreatedOn, '')
    FROM source.Pattern WHERE instr(Keys, '#') = 0 AND ${ARE_CANDIDATES} ORDER BY VinSchemaId, Id;
  INSERT INTO formula_pattern
    SELECT VinSchemaId, Id, upper(Keys), ElementId, AttributeId, coalesce(UpdatedOn, CreatedOn, '')
    FROM source.Pattern WHERE instr(Keys, '#') > 0 AND ${ARE_CANDIDATES};
`;
