/**
 * Waits for work that other callers may also be waiting for. The work continues when this caller leaves.
 *
 * @throws the reason of `signal` when it is aborted first; otherwise the error of the work.
 */
export async function waitFor<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const leave = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", leave, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

/** @throws the reason of `signal` when it is aborted first. */
export async function sleep(durationMs: number, signal: AbortSignal): Promise<void> {
  const { promise: end, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), durationMs);
  try {
    await waitFor(end, signal);
  } finally {
    clearTimeout(timer);
  }
}
