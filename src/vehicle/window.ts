/**
 * Works on items side by side and yields the results as they come.
 *
 * @param size how many items are under way, or done and not yet read, at the same time.
 * @throws what `work` throws first; the results of the others are dropped.
 */
export async function* inWindow<T, R>(
  items: Iterable<T>,
  size: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const waiting = items[Symbol.iterator]();
  const done: PromiseSettledResult<R>[] = [];
  let underWay = 0;
  let wake = (): void => undefined;

  function finish(result: PromiseSettledResult<R>): void {
    done.push(result);
    wake();
  }

  function startNext(): void {
    const next = waiting.next();
    if (next.done !== true) {
      underWay++;
      work(next.value).then(
        (value) => finish({ status: "fulfilled", value }),
        (reason: unknown) => finish({ status: "rejected", reason }),
      );
    }
  }

  for (let started = 0; started < size; started++) {
    startNext();
  }
  while (underWay > 0) {
    const result = done.shift();
    if (result === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      continue;
    }
    underWay--;
    if (result.status === "rejected") {
      throw result.reason;
    }
    yield result.value;
    // Only now: what the reader has not taken counts.
    startNext();
  }
}
