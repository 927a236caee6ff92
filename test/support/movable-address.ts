import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { portOf } from "./port-of.ts";

/** An address that can move from one server to another, as a virtual IP address does when a standby takes over. */
export class MovableAddress implements AsyncDisposable {
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  #target: string;

  private constructor(target: string) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  /** @param target the Unix socket of the server. */
  static async start(target: string): Promise<MovableAddress> {
    const address = new MovableAddress(target);
    address.#server.listen(0, "127.0.0.1");
    await once(address.#server, "listening");
    return address;
  }

  get port(): number {
    return portOf(this.#server);
  }

  /**
   * Sends new connections to another server.
   *
   * @param old what happens to old connections: `closed`, or `silent` as when a machine loses its power.
   */
  moveTo(target: string, old: "closed" | "silent"): void {
    this.#target = target;
    this.#clients.forEach((client) => (old === "closed" ? client.destroy() : client.unpipe().pause()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clients.forEach((client) => client.destroy());
    this.#server.close();
  }

  #accept(client: Socket): void {
    const target = this.#target;
    const server = connect(target);
    this.#clients.add(client);
    client.pipe(server);
    server.on("data", (data) => this.#unlessMoved(target, () => client.write(data)));
    server.on("close", () => this.#unlessMoved(target, () => client.destroy())).on("error", () => undefined);
    client
      .on("close", () => {
        this.#clients.delete(client);
        server.destroy();
      })
      .on("error", () => undefined);
  }

  #unlessMoved(target: string, pass: () => void): void {
    if (target === this.#target) {
      pass();
    }
  }
}
