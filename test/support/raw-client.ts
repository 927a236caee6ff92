import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";

export interface RawClientOptions {
  /** The authority of the server's certificate, as PEM. With it, the client uses TLS. */
  readonly ca?: string | undefined;
  /** The protocols offered in the TLS handshake. Default: none. */
  readonly protocols?: string[] | undefined;
  /** Whether the client keeps its side open when the server closes its side. */
  readonly staysOpen?: boolean;
  /** Whether it reads nothing. */
  readonly isDeaf?: boolean;
}

/** A client that sends any bytes, and keeps those it receives. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  /** Resolves when the connection has closed, however it ended. */
  readonly closed: Promise<void>;
  /** Resolves when the server has closed its side, or all of the connection. */
  readonly ended: Promise<void>;
  #received = Buffer.alloc(0);
  #hasEnded = false;

  private constructor(socket: Socket, isDeaf: boolean) {
    this.socket = socket;
    socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      socket.once("close", () => resolve());
    });
    this.ended = new Promise((resolve) => {
      const end = (): void => {
        this.#hasEnded = true;
        resolve();
      };
      socket.once("end", end);
      socket.once("close", end);
    });
    if (!isDeaf) {
      socket.on("data", (bytes: Buffer) => {
        this.#received = Buffer.concat([this.#received, bytes]);
      });
    }
  }

  static async open(port: number, { ca, protocols, staysOpen, isDeaf }: RawClientOptions = {}): Promise<RawClient> {
    const options = { port, host: "127.0.0.1", allowHalfOpen: staysOpen ?? false };
    const socket =
      ca === undefined
        ? connect(options)
        : connectTls({ ...options, ca, servername: "localhost", ...(protocols && { ALPNProtocols: protocols }) });
    const client = new RawClient(socket.setNoDelay(true), isDeaf ?? false);
    await once(socket, ca === undefined ? "connect" : "secureConnect");
    return client;
  }

  get bytes(): Buffer {
    return this.#received;
  }

  get text(): string {
    return this.#received.toString("latin1");
  }

  /** Whether the server has closed its side. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  send(bytes: string | Uint8Array): this {
    this.socket.write(bytes);
    return this;
  }

  /** Sends bytes, and resolves when the system has taken them. */
  async push(bytes: string | Uint8Array): Promise<void> {
    await new Promise((resolve) => {
      this.socket.write(bytes, resolve);
    });
  }

  /** Reads until the received text matches or the connection has ended. Returns everything received. */
  async until(wanted: RegExp | ((text: string) => boolean)): Promise<string> {
    const fits = (): boolean => (typeof wanted === "function" ? wanted(this.text) : wanted.test(this.text));
    while (!fits() && !this.#hasEnded) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const go = (): void => resolve();
      this.socket.once("data", go);
      await Promise.race([promise, this.ended]);
      this.socket.off("data", go);
    }
    return this.text;
  }

  /** Everything received until the end of the connection. */
  async all(): Promise<string> {
    await this.ended;
    return this.text;
  }

  /** Keeps sending until the server, which has closed its own side, closes the whole connection. */
  async sendUntilClosed(): Promise<void> {
    const sending = setInterval(() => this.send("x"), 10);
    await this.closed;
    clearInterval(sending);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** A POST of JSON over HTTP/1.1. @param headers whole lines */
export function postOf(path: string, json: string, headers = ""): string {
  return (
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${headers}` +
    `Content-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`
  );
}
