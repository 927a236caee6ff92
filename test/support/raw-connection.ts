import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { connect as connectTls, TLSSocket } from "node:tls";

/** Maximum number of received bytes that are kept. */
const KEPT_BYTES = 64 * 1024;

/** Options of TLS. */
export interface RawTls {
  /** The authority of the server's certificate, as PEM. */
  readonly ca: string;
  /** The ALPN protocol offered in the handshake. */
  readonly protocol: "h2" | "http/1.1";
}

/** A connection to the service that sends any bytes. */
export class RawConnection implements Disposable {
  readonly socket: Socket;
  /** When it was open, on the monotonic clock. */
  readonly openedAt: number;
  /** The first 64 KiB from the server. */
  received: Buffer = Buffer.alloc(0);
  readonly #closedAt: Promise<number>;

  private constructor(socket: Socket, closedAt: Promise<number>) {
    this.socket = socket;
    this.openedAt = performance.now();
    this.#closedAt = closedAt;
  }

  /**
   * @param from the address of loopback that it comes from
   * @param tls without it, the connection is plain TCP
   */
  static async open(address: string, from = "127.0.0.1", tls?: RawTls): Promise<RawConnection> {
    const options = { port: Number(address.split(":")[1]), host: "127.0.0.1", localAddress: from };
    const socket =
      tls === undefined ? connect(options) : connectTls({ ...options, ca: tls.ca, ALPNProtocols: [tls.protocol] });
    socket.setNoDelay(true);
    const closedAt = new Promise<number>((resolve) => {
      socket.once("close", () => resolve(performance.now()));
    });
    await once(socket, tls === undefined ? "connect" : "secureConnect");
    socket.on("error", () => {});
    return new RawConnection(socket, closedAt);
  }

  get isOpen(): boolean {
    return !this.socket.destroyed && this.socket.writable;
  }

  /** Reads everything, and keeps only the beginning. Without this call, nothing is read. */
  read(onBytes: (bytes: Buffer) => void = () => {}): this {
    return this.tell((bytes) => {
      if (this.received.byteLength < KEPT_BYTES) {
        this.received = Buffer.concat([this.received, bytes]);
      }
      onBytes(bytes);
    });
  }

  /** Reads and keeps nothing, which costs less. */
  tell(onBytes: (bytes: Buffer) => void): this {
    this.socket.on("data", onBytes);
    return this;
  }

  /** Sends, and waits while buffers are full. False when the connection is closed, or took nothing within the limit. */
  async send(bytes: Uint8Array, limitMs = 10_000): Promise<boolean> {
    if (!this.isOpen) {
      return false;
    }
    if (this.socket.write(bytes)) {
      return true;
    }
    const { promise: goesOn, resolve } = Promise.withResolvers<boolean>();
    const onDrain = (): void => resolve(true);
    const onEnd = (): void => resolve(false);
    const timer = setTimeout(onEnd, limitMs);
    this.socket.once("drain", onDrain);
    this.socket.once("close", onEnd);
    const result = await goesOn;
    clearTimeout(timer);
    this.socket.off("drain", onDrain);
    this.socket.off("close", onEnd);
    return result;
  }

  /** Waits for its end. Returns the ms since it opened, or since `from`; Infinity if it is still open after the limit. */
  async closed(limitMs: number, from = this.openedAt): Promise<number> {
    const { promise: tooLate, resolve } = Promise.withResolvers<number>();
    const timer = setTimeout(() => resolve(Number.POSITIVE_INFINITY), limitMs);
    const at = await Promise.race([this.#closedAt, tooLate]);
    clearTimeout(timer);
    return at - from;
  }

  [Symbol.dispose](): void {
    if (this.socket instanceof TLSSocket) {
      this.socket.destroy();
    } else {
      this.socket.resetAndDestroy();
    }
  }
}
