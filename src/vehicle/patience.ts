/** What {@link withinPatience} gives when the patience ended first. */
export const timedOut: unique symbol = Symbol("timedOut");

/**
 * Waits for `promise`, but no longer than `patienceMs`. What comes later is for others: the promise goes on, and a late
 * rejection is never an unhandled one.
 *
 * @returns what the promise gives, or {@link timedOut}.
 * @throws what the promise rejects with, when it does so in time.
 */
export async function withinPatience<T>(promise: Promise<T>, patienceMs: number): Promise<T | typeof timedOut> {
  const patience = Promise.withResolvers<typeof timedOut>();
  const timer = setTimeout(() => patience.resolve(timedOut), patienceMs);
  try {
    return await Promise.race([promise, patience.promise]);
  } finally {
    clearTimeout(timer);
  }
}
