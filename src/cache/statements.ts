import { ALL_COLUMNS, KEY_COLUMNS } from "./vehicle-row.ts";

// The same text serves SQLite and PostgreSQL.

const GENERATION = `coalesce(
  (select generation from vehicle_removals where vin = ?),
  (select generation from vehicle_removals where vin = ''),
  0)`;

/** Parameters: vin. */
export const SELECT_GENERATION = `select ${GENERATION} as generation`;

/**
 * Stores a row unless the VIN was removed since, and never a snapshot's over vPIC's.
 *
 * Parameters: the row's cells, vin, generation.
 */
export const PUT_VEHICLE = `insert into vehicles (${ALL_COLUMNS.join(", ")})
  select ${ALL_COLUMNS.map(() => "?").join(", ")} where ${GENERATION} = ?
  on conflict (${KEY_COLUMNS.join(", ")}) do update set
  ${ALL_COLUMNS.slice(KEY_COLUMNS.length)
    .map((column) => `${column} = excluded.${column}`)
    .join(", ")}
  where excluded.source = 'vpic' or vehicles.source <> 'vpic'`;

/** Parameters: vin, vin, removed_at. */
export const RECORD_REMOVAL = `insert into vehicle_removals (vin, generation, removed_at)
  select ?, ${GENERATION} + 1, ? where true
  on conflict (vin) do update set generation = excluded.generation, removed_at = excluded.removed_at`;

/** Parameters: vin. */
export const DELETE_VEHICLES = "delete from vehicles where vin = ?";

/**
 * Deletes the oldest entries of a class. The age is asked for twice, so that an entry that was renewed meanwhile stays.
 *
 * Parameters: source, is_negative, decoded_at, limit, decoded_at.
 */
export const SWEEP_VEHICLES = `delete from vehicles where (${KEY_COLUMNS.join(", ")}) in (
  select ${KEY_COLUMNS.join(", ")} from vehicles
  where source = ? and is_negative = ? and decoded_at < ? order by decoded_at limit ?
) and decoded_at < ?`;

/** Parameters: removed_at. */
export const SELECT_HIGHEST_OLD_GENERATION =
  "select max(generation) as generation from vehicle_removals where vin <> '' and removed_at < ?";

/**
 * The generation of all VINs without a record passes that of the records which go, so that a decode that began before
 * such a removal is still told apart.
 *
 * Parameters: generation, generation.
 */
export const RAISE_SHARED_GENERATION = `update vehicle_removals
  set generation = 1 + case when generation > ? then generation else ? end where vin = ''`;

/** Parameters: removed_at, generation. */
export const DELETE_OLD_REMOVALS =
  "delete from vehicle_removals where vin <> '' and removed_at < ? and generation <= ?";

/** Proves that the database answers and holds our tables. */
export const PING = "select generation from vehicle_removals where vin = ''";
