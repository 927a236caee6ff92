import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import { listen, SOCKET_OPTIONS } from "./server/listen.ts";

/** A process that connections are sent to. */
export interface ConnectionTarget {
  /**
   * Sends a connection to the process. The socket stays open here as well.
   *
   * @param onSent called with null when the connection was sent, otherwise with the error
   */
  send(socket: Socket, onSent: (error: Error | null) => void): void;
}

/** Maximum number of connections that wait while no process can serve them. Further ones are closed. */
const MAX_WAITING = 1_000;

/**
 * Accepts the connections of all workers, and gives each to the next worker in turn.
 *
 * The round robin of node:cluster is not used: when a worker is killed before it has accepted a connection, that
 * connection stays open forever. Here it goes to another worker, or is closed if it was already sent.
 */
export class ConnectionDealer {
  readonly #servers: Server[] = [];
  readonly #waiting: Socket[] = [];
  /** The processes, next in turn first, each with the connections that are being sent to it. */
  readonly #targets = new Map<ConnectionTarget, Set<Socket>>();
  #isClosed = false;

  /**
   * Listens on one more address and returns it as `host:port`.
   *
   * @param portName names the port in errors, such as `GRPC_PORT`
   * @param port 0 picks a free one
   * @throws ListenError when the address is unavailable
   */
  async listen(portName: string, host: string, port: number): Promise<string> {
    const server = createServer({ ...SOCKET_OPTIONS, pauseOnConnect: true }, (socket) => {
      // The connection may break while it waits.
      socket.on("error", () => undefined);
      this.#deal(socket);
    });
    const address = await listen(server, portName, host, port);
    this.#servers.push(server);
    if (this.#isClosed) {
      server.close();
    }
    return address;
  }

  add(target: ConnectionTarget): void {
    this.#targets.set(target, new Set());
    for (const socket of this.#waiting.splice(0)) {
      this.#deal(socket);
    }
  }

  /** Sends no more connections to the process. Those that have not been sent yet go to others. */
  remove(target: ConnectionTarget): void {
    const unsent = this.#targets.get(target);
    this.#targets.delete(target);
    for (const socket of unsent ?? []) {
      unsent?.delete(socket);
      this.#deal(socket);
    }
  }

  /** Accepts no more connections, also at addresses that it is about to listen on. */
  close(): void {
    this.#isClosed = true;
    for (const server of this.#servers) {
      server.close();
    }
    for (const socket of this.#waiting.splice(0)) {
      socket.destroy();
    }
  }

  #deal(socket: Socket): void {
    const [next] = this.#targets;
    if (next === undefined) {
      if (this.#waiting.length < MAX_WAITING) {
        this.#waiting.push(socket);
      } else {
        socket.destroy();
      }
      return;
    }
    const [target, unsent] = next;
    this.#targets.delete(target);
    this.#targets.set(target, unsent);
    unsent.add(socket);
    target.send(socket, (error) => {
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
