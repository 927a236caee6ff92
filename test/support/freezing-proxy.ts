import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { portOf } from "./port-of.ts";

/** A proxy that can make its server seem to hang: it accepts everything, and sends nothing back. */
export class FreezingProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #held: (() => void)[] = [];
  #isFrozen = false;
  /** The number of connections since the start. */
  connections = 0;

  private constructor(path: string) {
    this.#server = createServer((client) => {
      this.connections++;
      const server = connect(path);
      this.#join(client, server);
      this.#join(server, client);
    });
  }

  /** @param path the Unix socket of the server. */
  static async start(path: string): Promise<FreezingProxy> {
    const proxy = new FreezingProxy(path);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    return portOf(this.#server);
  }

  freeze(): void {
    this.#isFrozen = true;
  }

  /** Passes on everything that was held, including the end of connections. */
  thaw(): void {
    this.#isFrozen = false;
    this.#held.splice(0).forEach((pass) => pass());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sockets.forEach((socket) => socket.destroy());
    this.#server.close();
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on("data", (data) => this.#whenThawed(() => to.write(data)));
    from.on("close", () => this.#whenThawed(() => to.destroy()));
    from.on("error", () => undefined);
  }

  #whenThawed(pass: () => void): void {
    if (this.#isFrozen) {
      this.#held.push(pass);
    } else {
      pass();
    }
  }
}
