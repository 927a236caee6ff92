import type { Socket } from "node:net";

/** How long a client may take to read the rest and to close its side, in ms. */
const LINGER_MS = 30_000;

/**
 * Cuts a connection whose client does not close its side in time after the server has closed its own: Node would keep it,
 * and its place among the connections, for as long as the client likes.
 *
 * @param cut ends it
 */
export function cutHalfClosed(
  socket: Socket,
  lingerMs: number = LINGER_MS,
  cut = (): unknown => socket.destroy(),
): void {
  socket.once("finish", () => {
    const timer = setTimeout(cut, lingerMs).unref();
    socket.once("close", () => clearTimeout(timer));
  });
}
