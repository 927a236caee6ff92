/**
 * The pieces of a response, with their reader watched: each is asked for when the one before has gone. Node's own
 * time-out of a socket counts anew when a write gets away in part, and so took twice its time.
 *
 * @param onStall called when a piece has waited for the client for the time-out
 */
export async function* watchReader<T>(
  pieces: AsyncIterable<T> | readonly T[],
  timeoutMs: number,
  onStall: () => void,
): AsyncGenerator<T> {
  for await (const piece of pieces) {
    const timer = setTimeout(onStall, timeoutMs);
    try {
      yield piece;
    } finally {
      clearTimeout(timer);
    }
  }
}
