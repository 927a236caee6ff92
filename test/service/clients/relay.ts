import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { portOf } from "../../support/port-of.ts";

/** A proxy between a client and a service that passes on every byte and counts them. */
export interface Relay extends AsyncDisposable {
  /** `host:port`, instead of the service's. */
  readonly address: string;
  /** The number of bytes passed on since the count began. */
  readonly bytes: { up: number; down: number };
}

/** Starts to pass on to the service at `host:port`. */
export async function startRelay(address: string): Promise<Relay> {
  const { hostname, port } = new URL(`http://${address}`);
  const bytes = { up: 0, down: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const service = connect(Number(port), hostname);
    pass(client, service, (count) => (bytes.up += count));
    pass(service, client, (count) => (bytes.down += count));
    for (const socket of [client, service]) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${portOf(server)}`,
    bytes,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) {
        socket.destroy();
      }
    },
  };
}

function pass(from: Socket, to: Socket, count: (bytes: number) => void): void {
  from.on("data", (data) => count(data.byteLength));
  from.pipe(to);
  // When one side closes, the other must see it at once.
  from.once("close", () => to.destroy());
  from.on("error", () => to.destroy());
}
