import { ALL_COLUMNS, KEY_COLUMNS } from "./vehicle-row.ts";

// The SQL that SQLite and PostgreSQL share.

/**
 * An expression for a VIN's generation: from its own record, or else the generation of all VINs without a record.
 *
 * @param vin an expression for the VIN.
 */
export function generationOf(vin: string): string {
  return `coalesce(
    (select removal.generation from vehicle_removals as removal where removal.vin = ${vin}),
    (select shared.generation from vehicle_removals as shared where shared.vin = ''),
    0)`;
}

/** The start of a put. Append a select of the cells, in the order of the columns. */
export const INSERT_VEHICLES = `insert into vehicles (${ALL_COLUMNS.join(", ")})`;

/** The end of a put: a decode of the snapshot never replaces one of vPIC. */
export const UNLESS_OUTRANKED = `on conflict (${KEY_COLUMNS.join(", ")}) do update set
  ${ALL_COLUMNS.slice(KEY_COLUMNS.length)
    .map((column) => `${column} = excluded.${column}`)
    .join(", ")}
  where excluded.source = 'vpic' or vehicles.source <> 'vpic'`;

/** The start of recording a removal. Append a select of VIN, generation and time. */
export const INSERT_REMOVALS = "insert into vehicle_removals (vin, generation, removed_at)";

/** The end of recording a removal. */
export const OR_RENEW =
  "on conflict (vin) do update set generation = excluded.generation, removed_at = excluded.removed_at";

/**
 * Queries that fail unless the database answers and has our tables. The first gives the generation of VINs without a
 * record.
 */
export const PING = [
  "select generation from vehicle_removals where vin = ''",
  "select vin from vehicles limit 0",
  "select vin from fleet_budget, fleet_leases, fleet_members limit 0",
];
