import type { Vin } from "../../src/vehicle/vin.ts";
import { parseVin } from "../../src/vehicle/vin.ts";

/** So many different VINs. */
export function toVins(count: number): readonly Vin[] {
  return Array.from({ length: count }, (_, index) => parseVin(`1XPWD40X1ED${String(index).padStart(6, "0")}`));
}

/** A signal that is never aborted. */
export function never(): AbortSignal {
  return new AbortController().signal;
}
