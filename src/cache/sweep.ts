import type { SqlEntityManager } from "@mikro-orm/sql";
import type { SweepCutoffs } from "../vehicle/vehicle.ts";
import { KEY_COLUMNS } from "./vehicle-row.ts";

/** Records of removals are kept far longer than any decode can be in flight. */
const KEEP_REMOVALS_MS = 3_600_000;

/**
 * Deletes the oldest entries of a class. The age is asked for twice, so that an entry that was renewed meanwhile stays.
 *
 * Parameters: source, is_negative, decoded_at, limit, decoded_at.
 */
const DELETE_OLD_VEHICLES = `delete from vehicles where (${KEY_COLUMNS.join(", ")}) in (
  select ${KEY_COLUMNS.join(", ")} from vehicles
  where source = ? and is_negative = ? and decoded_at < ? order by decoded_at limit ?
) and decoded_at < ?`;

/** Parameters: removed_at. */
const SELECT_HIGHEST_OLD_GENERATION =
  "select max(generation) as generation from vehicle_removals where vin <> '' and removed_at < ?";

/**
 * The generation of all VINs without a record passes that of the records which go, so that a decode that began before
 * such a removal is still told apart.
 *
 * Parameters: generation, generation.
 */
const RAISE_SHARED_GENERATION = `update vehicle_removals
  set generation = 1 + case when generation > ? then generation else ? end where vin = ''`;

/** Parameters: removed_at, generation. */
const DELETE_OLD_REMOVALS = "delete from vehicle_removals where vin <> '' and removed_at < ? and generation <= ?";

/**
 * Deletes entries that are too old for their class, at most `limit`, class by class and oldest first, and records of
 * removals that no decode in flight can need.
 *
 * @param now the time in ms since the epoch.
 * @returns how many entries were deleted.
 */
export async function sweep(em: SqlEntityManager, cutoffs: SweepCutoffs, limit: number, now: number): Promise<number> {
  const classes = [
    { source: "snapshot", isNegative: 1, cutoff: cutoffs.snapshot },
    { source: "snapshot", isNegative: 0, cutoff: cutoffs.snapshot },
    { source: "vpic", isNegative: 1, cutoff: cutoffs.negative },
    { source: "vpic", isNegative: 0, cutoff: cutoffs.vpic },
  ];
  let swept = 0;
  for (const { source, isNegative, cutoff } of classes) {
    if (swept < limit) {
      const parameters = [source, isNegative, Math.trunc(cutoff), limit - swept, Math.trunc(cutoff)];
      swept += await affectedRows(em, DELETE_OLD_VEHICLES, parameters);
    }
  }
  await sweepRemovals(em, now - KEEP_REMOVALS_MS);
  return swept;
}

async function sweepRemovals(em: SqlEntityManager, cutoff: number): Promise<void> {
  const rows = await em.execute<{ generation: number | string | null }[]>(SELECT_HIGHEST_OLD_GENERATION, [cutoff]);
  const generation = rows[0]?.generation ?? undefined;
  if (generation !== undefined) {
    // In this order no transaction is needed: decodes that began before such a removal are told apart at any moment.
    await affectedRows(em, RAISE_SHARED_GENERATION, [Number(generation), Number(generation)]);
    await affectedRows(em, DELETE_OLD_REMOVALS, [cutoff, Number(generation)]);
  }
}

async function affectedRows(
  em: SqlEntityManager,
  statement: string,
  parameters: readonly (string | number)[],
): Promise<number> {
  const result = await em.execute<{ affectedRows: number }>(statement, [...parameters], "run");
  return result.affectedRows;
}
