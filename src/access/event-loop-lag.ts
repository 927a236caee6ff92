const INTERVAL_MS = 20;

/**
 * Tells every 20 ms, or as soon after as the event loop gets to it, how late it is, in ms. Cheaper than a histogram, and
 * as fresh as can be. Does not keep the process alive.
 *
 * @param now monotonic clock, ms
 */
export function watchEventLoopLag(onLag: (lagMs: number) => void, now = (): number => performance.now()): Disposable {
  let lastAt = now();
  const timer = setInterval(() => {
    const at = now();
    onLag(Math.max(0, at - lastAt - INTERVAL_MS));
    lastAt = at;
  }, INTERVAL_MS).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
