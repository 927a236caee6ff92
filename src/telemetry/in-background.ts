/**
 * Runs work in the background, because it takes too long for a scrape. The returned function returns the latest result
 * at once. It also starts the work again if the last run began at least `everyMs` ago.
 *
 * @param work must never reject
 * @param now monotonic clock, ms
 * @returns a function that returns the latest result, or undefined before the first one
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
