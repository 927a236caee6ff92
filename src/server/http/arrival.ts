import { Code, ConnectError } from "@connectrpc/connect";

/**
 * The pieces of a request, which must all arrive within the call's time: Connect waits for them without regard to the
 * deadline.
 *
 * @param onLate called when they have not; the call may have been answered by then
 * @throws {ConnectError} DEADLINE_EXCEEDED when they have not
 */
export async function* arriveWithin<T>(
  timeoutMs: number,
  pieces: AsyncIterable<T>,
  onLate: () => void,
): AsyncGenerator<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    onLate();
    reject(new ConnectError("the deadline has passed", Code.DeadlineExceeded));
  }, timeoutMs);
  // Nobody may be waiting.
  late.catch(ignore);
  const source = pieces[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await Promise.race([source.next(), late]);
      if (next.done === true) {
        return;
      }
      yield next.value;
    }
  } finally {
    clearTimeout(timer);
    // Not awaited: it ends only with a piece that may never come.
    source.return?.().catch(ignore);
  }
}

function ignore(): void {}
