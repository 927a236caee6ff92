import type { CachedVehicle, SweepCutoffs } from "./vehicle.ts";
import { isDecoded } from "./vehicle.ts";

/** How long entries of the cache are good for, in ms from their decode. */
export interface FreshnessPolicy {
  /** vPIC's entries are returned without asking again. */
  readonly freshForMs: number;
  /** vPIC's entries are still returned when vPIC cannot answer. Not shorter than `freshForMs`. */
  readonly staleForMs: number;
  /** vPIC's entries for VINs that it could not decode. */
  readonly negativeForMs: number;
  /** The snapshot's entries, negative ones too. */
  readonly snapshotForMs: number;
}

/** `fresh`: return it. `stale`: return it only when vPIC cannot answer. `expired`: ignore it. */
export type Freshness = "fresh" | "stale" | "expired";

/**
 * Judges an entry.
 *
 * @param maxAgeMs the maximum age that the caller accepts. For entries of vPIC it replaces the freshness period; the
 *   life of other entries it can only shorten. 0 accepts nothing.
 */
export function judgeFreshness(
  entry: CachedVehicle,
  policy: FreshnessPolicy,
  now: number,
  maxAgeMs: number | undefined,
): Freshness {
  const age = ageOf(entry, now);
  if (entry.source === "snapshot" || !isDecoded(entry)) {
    const lifeMs = entry.source === "snapshot" ? policy.snapshotForMs : policy.negativeForMs;
    return age < Math.min(lifeMs, maxAgeMs ?? lifeMs) ? "fresh" : "expired";
  }
  if (age < (maxAgeMs ?? policy.freshForMs)) {
    return "fresh";
  }
  return age < policy.staleForMs ? "stale" : "expired";
}

/** When entries of each kind stop being of use. */
export function sweepCutoffs(policy: FreshnessPolicy, now: number): SweepCutoffs {
  return {
    vpic: now - policy.staleForMs,
    negative: now - policy.negativeForMs,
    snapshot: now - policy.snapshotForMs,
  };
}

// An entry from the future (the clock went back) counts as new. Otherwise all such entries would be decoded again at
// once.
function ageOf(entry: CachedVehicle, now: number): number {
  return Math.max(0, now - entry.decodedAt);
}
