import type { Vin } from "../../src/vehicle/vin.ts";

/** Version 0.1.0 (commit 78e388f) of the cache's tables, and the statements that its replicas run on them. */
const VEHICLES = `create table vehicles (
  vin text not null, model_year_hint integer not null, make text not null, model text not null,
  model_year text not null, body_class text not null, source text not null, is_negative integer not null,
  decoded_at bigint not null, verdict_codes text not null, verdict_text text not null, suggested_vin text not null,
  possible_values text not null, additional_text text not null, attributes text not null,
  primary key (vin, model_year_hint))`;

const REMOVALS = `create table vehicle_removals (
  vin text not null primary key, generation bigint not null, removed_at bigint not null)`;

const MIGRATIONS = {
  sqlite: `create table mikro_orm_migrations (id integer not null primary key autoincrement, name text not null,
    executed_at datetime not null default (strftime('%s', 'now') * 1000))`,
  postgres: `create table mikro_orm_migrations (id serial primary key, name varchar(255) not null,
    executed_at timestamptz not null default current_timestamp)`,
};

const GENERATION = (vin: Vin): string => `coalesce(
  (select generation from vehicle_removals where vin = '${vin}'),
  (select generation from vehicle_removals where vin = ''),
  0)`;

/** Creates the tables, without an entry. */
export function createTables(kind: "sqlite" | "postgres"): string[] {
  return [
    VEHICLES,
    "create index vehicles_age on vehicles (source, is_negative, decoded_at)",
    REMOVALS,
    "insert into vehicle_removals (vin, generation, removed_at) values ('', 37987875288699, 0)",
    MIGRATIONS[kind],
    "insert into mikro_orm_migrations (name) values ('create-vehicles')",
  ];
}

/** Stores a Peterbilt of 2014, decoded at noon, when the VIN's generation is still this one. */
export function put(vin: Vin, decodedAt: number, generation: number): string {
  return `insert into vehicles (vin, model_year_hint, make, model, model_year, body_class, source, is_negative,
      decoded_at, verdict_codes, verdict_text, suggested_vin, possible_values, additional_text, attributes)
    select '${vin}', 0, 'PETERBILT', '388', '2014', 'Truck-Tractor', 'vpic', 0, ${decodedAt}, '0',
    '0 - VIN decoded clean. Check Digit (9th position) is correct', '', '', '',
    '{"EngineCylinders":"6","Manufacturer":"PETERBILT MOTORS COMPANY"}' where ${GENERATION(vin)} = ${generation}
    on conflict (vin, model_year_hint) do update set make = excluded.make
    where excluded.source = 'vpic' or vehicles.source <> 'vpic'`;
}

export function remove(vin: Vin, now: number): string[] {
  return [
    `insert into vehicle_removals (vin, generation, removed_at) select '${vin}', ${GENERATION(vin)} + 1, ${now} where true
     on conflict (vin) do update set generation = excluded.generation, removed_at = excluded.removed_at`,
    `delete from vehicles where vin = '${vin}'`,
  ];
}

export function selectGeneration(vin: Vin): string {
  return `select ${GENERATION(vin)} as generation`;
}
