/**
 * Shares one result among all who ask within so many ms of its beginning. For what is open to everyone and takes work: a
 * flood of requests makes no more of it.
 *
 * @param now monotonic clock, ms
 */
export function recent<Result>(
  forMs: number,
  work: () => Promise<Result>,
  now = (): number => performance.now(),
): () => Promise<Result> {
  let latest: { readonly beganAt: number; readonly result: Promise<Result> } | undefined;
  return () => {
    const at = now();
    if (latest === undefined || at - latest.beganAt >= forMs) {
      latest = { beganAt: at, result: work() };
    }
    return latest.result;
  };
}
