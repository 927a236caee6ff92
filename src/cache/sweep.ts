import type { SqlEntityManager } from "@mikro-orm/sql";

import type { SweepCutoffs } from "../vehicle/vehicle.ts";
import { affectedRows } from "./affected-rows.ts";
import {
  DELETE_OLD_REMOVALS,
  RAISE_SHARED_GENERATION,
  SELECT_HIGHEST_OLD_GENERATION,
  SWEEP_VEHICLES,
} from "./statements.ts";

/**
 * Deletes entries that are too old for their class, at most `limit`, class by class and oldest first.
 *
 * @returns how many.
 */
export async function sweepVehicles(em: SqlEntityManager, cutoffs: SweepCutoffs, limit: number): Promise<number> {
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
      swept += await affectedRows(em, SWEEP_VEHICLES, parameters);
    }
  }
  return swept;
}

/** Forgets removals from before a moment (ms since the epoch). */
export async function sweepRemovals(em: SqlEntityManager, cutoff: number): Promise<void> {
  const rows = await em.execute<{ generation: number | string | null }[]>(SELECT_HIGHEST_OLD_GENERATION, [cutoff]);
  const generation = rows[0]?.generation ?? undefined;
  if (generation !== undefined) {
    // In this order no transaction is needed: decodes that began before such a removal are told apart at any moment.
    await affectedRows(em, RAISE_SHARED_GENERATION, [Number(generation), Number(generation)]);
    await affectedRows(em, DELETE_OLD_REMOVALS, [cutoff, Number(generation)]);
  }
}
