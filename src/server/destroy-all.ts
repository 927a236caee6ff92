import type { Socket } from "node:net";

/** Cuts every connection of them, without a word. */
export function destroyAll(sockets: Iterable<Socket>): void {
  for (const socket of sockets) {
    socket.destroy();
  }
}
