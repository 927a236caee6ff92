import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

/**
 * Tells requests on connections that have been in use for too long, over HTTP/1.1, where nothing else bounds their age:
 * what was found out about a client in the handshake must not hold for ever.
 *
 * @param now monotonic clock, ms
 */
export function createAgeCheck(ageMs: number, now = (): number => performance.now()): (r: IncomingMessage) => boolean {
  const firstUsedAt = new WeakMap<Duplex, number>();
  return ({ socket, httpVersionMajor }) => {
    if (httpVersionMajor !== 1) {
      return false;
    }
    const at = now();
    const firstAt = firstUsedAt.get(socket) ?? at;
    firstUsedAt.set(socket, firstAt);
    return at - firstAt >= ageMs;
  };
}
