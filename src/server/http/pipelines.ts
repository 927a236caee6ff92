import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** As many as HTTP/2 has streams on a connection. */
const MAX_UNANSWERED = 100;

/**
 * Bounds how many requests a connection of HTTP/1.1 may send without waiting for the answers. Node has no limit: all that
 * come in one piece, some hundred, would be begun in one turn of the event loop, and everybody else would wait for them.
 */
export class Pipelines {
  readonly #unanswered = new WeakMap<Socket, number>();

  /** Whether a request may be answered; when there are too many, its connection is destroyed. */
  admits({ socket }: IncomingMessage, response: ServerResponse): boolean {
    if (socket.destroyed) {
      return false;
    }
    const count = (this.#unanswered.get(socket) ?? 0) + 1;
    if (count > MAX_UNANSWERED) {
      socket.destroy();
      return false;
    }
    this.#unanswered.set(socket, count);
    response.once("close", () => this.#unanswered.set(socket, (this.#unanswered.get(socket) ?? 1) - 1));
    return true;
  }
}
