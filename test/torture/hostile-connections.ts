import type { Listener } from "./finding.ts";
import { inParallel } from "./seeded.ts";
import type { Target } from "./target.ts";

const AT_ONCE = 32;
const PATIENCE_MS = 3000;

/** Opens one connection for each of the byte sequences, sends it, and waits for the end. Gives how many never ended. */
export async function sendEach(
  target: Target,
  listener: Listener,
  count: number,
  bytesOf: (index: number) => Buffer,
): Promise<number> {
  let unended = 0;
  await inParallel(count, AT_ONCE, async (index) => {
    const bytes = bytesOf(index);
    // One address of loopback does not have enough ports.
    using connection = await target.open(listener, `127.0.0.${2 + (index % 16)}`);
    connection.read().socket.end(bytes);
    if ((await connection.closed(PATIENCE_MS)) === Number.POSITIVE_INFINITY) {
      unended++;
    }
  });
  return unended;
}
