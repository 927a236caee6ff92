import { raw, type SqlEntityManager } from "@mikro-orm/sql";
import type { SweepCutoffs } from "../vehicle/vehicle.ts";
import { RemovalEntity, VehicleEntity } from "./vehicle-entity.ts";
import { KEY_COLUMNS } from "./vehicle-row.ts";

/** Records of removals are kept much longer than any decode takes. */
const KEEP_REMOVALS_MS = 3_600_000;

/**
 * Deletes at most `limit` entries that are too old for their class, class by class, oldest first. Also deletes records
 * of removals that no running decode can need.
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
      const isOld = { source, isNegative, decodedAt: { $lt: Math.trunc(cutoff) } };
      swept += await deleteOldest(em, isOld, limit - swept);
    }
  }
  await sweepRemovals(em, now - KEEP_REMOVALS_MS);
  return swept;
}

interface Condition {
  readonly source: string;
  readonly isNegative: number;
  readonly decodedAt: { readonly $lt: number };
}

async function deleteOldest(em: SqlEntityManager, isOld: Condition, limit: number): Promise<number> {
  const oldest = em
    .createQueryBuilder(VehicleEntity, "old")
    .select(["vin", "modelYearHint"])
    .where(isOld)
    .orderBy({ decodedAt: "asc" })
    .limit(limit);
  const { affectedRows } = await em
    .createQueryBuilder(VehicleEntity)
    .delete()
    // The age is compared again, because the entry may have been renewed.
    .where({ ...isOld, [raw(`(${KEY_COLUMNS.join(", ")})`)]: { $in: oldest } })
    .execute("run");
  return affectedRows;
}

async function sweepRemovals(em: SqlEntityManager, cutoff: number): Promise<void> {
  const isOld = { vin: { $ne: "" }, removedAt: { $lt: cutoff } };
  const latest = await em.findOne(RemovalEntity, isOld, { orderBy: { generation: "desc" }, disableIdentityMap: true });
  if (latest === null) {
    return;
  }
  const { generation } = latest;
  // A VIN without a record has the shared generation. It is first raised above the generations of the deleted records,
  // so that decodes that began before such a removal are always recognized, without a transaction. A removal at the
  // same moment may still count from a deleted record, by 1, and must not reach the shared generation.
  await em.nativeUpdate(RemovalEntity, { vin: "", generation: { $lte: generation } }, { generation: generation + 2 });
  await em.nativeDelete(RemovalEntity, { ...isOld, generation: { $lte: generation } });
}
