const SECONDS = /^\d{1,9}$/;

/**
 * Reads a `Retry-After` header: seconds, or a date.
 *
 * @param nowMs the wall clock, in ms since the epoch.
 * @returns ms from now, not negative; undefined when there is no header or it cannot be read.
 */
export function readRetryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) {
    return undefined;
  }
  const text = header.trim();
  if (SECONDS.test(text)) {
    return Number(text) * 1_000;
  }
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}
