import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import { listen, SOCKET_OPTIONS } from "./server/listen.ts";

/** A process that serves connections. */
export interface Taker {
  /**
   * Sends a connection to the process. The socket stays open here as well.
   *
   * @param onSent called when it is on its way, or with the error that prevented it
   */
  take(socket: Socket, onSent: (error: Error | null) => void): void;
}

/** How many connections wait while no process can take them. Further ones are closed. */
const MAX_WAITING = 1_000;

/**
 * Accepts the connections of all workers, and gives each to the next worker in turn.
 *
 * The round robin of node:cluster is not used, because it keeps a connection open for ever when the worker that was
 * about to take it is killed. Here the connection goes to another worker, or is closed if it was already on its way.
 */
export class ConnectionDealer {
  readonly #servers: Server[] = [];
  readonly #waiting: Socket[] = [];
  /** The connections that have not been sent yet, by the processes that are to take them. The next in turn is first. */
  readonly #takers = new Map<Taker, Set<Socket>>();

  /**
   * Listens on one more address and returns it as `host:port`.
   *
   * @param portName names the port in errors, such as `GRPC_PORT`
   * @param port 0 picks a free one
   * @throws ListenError when the address is unavailable
   */
  async listen(portName: string, host: string, port: number): Promise<string> {
    const server = createServer({ ...SOCKET_OPTIONS, pauseOnConnect: true }, (socket) => {
      // It may break while it waits.
      socket.on("error", () => undefined);
      this.#deal(socket);
    });
    this.#servers.push(server);
    return listen(server, portName, host, port);
  }

  add(taker: Taker): void {
    this.#takers.set(taker, new Set());
    for (const socket of this.#waiting.splice(0)) {
      this.#deal(socket);
    }
  }

  /** The process takes no more connections. Those that have not been sent yet go to others. */
  remove(taker: Taker): void {
    const unsent = this.#takers.get(taker);
    this.#takers.delete(taker);
    for (const socket of unsent ?? []) {
      unsent?.delete(socket);
      this.#deal(socket);
    }
  }

  /** Accepts no more connections. */
  close(): void {
    for (const server of this.#servers.splice(0)) {
      server.close();
    }
    for (const socket of this.#waiting.splice(0)) {
      socket.destroy();
    }
  }

  #deal(socket: Socket): void {
    const [next] = this.#takers;
    if (next === undefined) {
      if (this.#waiting.length < MAX_WAITING) {
        this.#waiting.push(socket);
      } else {
        socket.destroy();
      }
      return;
    }
    const [taker, unsent] = next;
    this.#takers.delete(taker);
    this.#takers.set(taker, unsent);
    unsent.add(socket);
    taker.take(socket, (error) => {
      if (!unsent.delete(socket)) {
        return;
      }
      if (error === null) {
        // The process has its own handle. The connection stays open until both are closed.
        socket.destroy();
      } else {
        this.#deal(socket);
      }
    });
  }
}
