/**
 * The latest result of work that takes too long for a scrape. A call returns it at once, and starts the work again when
 * the last run began longer ago than the period.
 *
 * @param work never rejects.
 * @param now monotonic clock, ms
 * @returns a function that gives the latest result, or undefined before the first one.
 */
export function inBackground<Result>(
  everyMs: number,
  work: () => Promise<Result>,
  now = (): number => performance.now(),
): () => Result | undefined {
  let latest: Result | undefined;
  let beganAt = -Infinity;
  const run = async (): Promise<void> => {
    latest = await work();
  };
  return () => {
    if (now() - beganAt >= everyMs) {
      beganAt = now();
      void run();
    }
    return latest;
  };
}
