import { vi } from "vitest";

/** Looks again and again until an assertion holds, for what no event tells of. Gives up only on a hang. */
export async function eventually<T>(look: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(look, { timeout: 250_000, interval: 20 });
}
