import type { Vin } from "../../src/vehicle/vin.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { waitFor } from "../../src/vehicle/wait-for.ts";

/** Different VINs, always the same ones. */
export function toVins(count: number): readonly Vin[] {
  return Array.from({ length: count }, (_, index) => parseVin(`1XPWD40X1ED${String(index).padStart(6, "0")}`));
}

/** A signal that is never aborted. */
export function never(): AbortSignal {
  return new AbortController().signal;
}

/** Waits on the clock of the tests. */
export async function sleep(durationMs: number, signal: AbortSignal): Promise<void> {
  const { promise: end, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), durationMs);
  try {
    await waitFor(end, signal);
  } finally {
    clearTimeout(timer);
  }
}
