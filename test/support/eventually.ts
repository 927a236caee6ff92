import { vi } from "vitest";

/** Repeats an assertion until it holds, where there is no event to wait for. Gives up only on a hang. */
export async function eventually<T>(assertion: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(assertion, { timeout: 250_000, interval: 20 });
}
