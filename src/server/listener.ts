import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import type { Server as TlsServer } from "node:tls";
import { createServer as createTlsServer } from "node:tls";
import { toCallerAddress } from "../access/caller-address.ts";
import type { CallQueue } from "./call-queue.ts";
import type { ConnectionGate } from "./connection-gate.ts";
import type { Exchange, Peer } from "./exchange.ts";
import { onFirstBytes } from "./first-bytes.ts";
import type { Http1Limits } from "./http1.ts";
import { Http1Server, MAX_UNANSWERED, refuseConnection } from "./http1.ts";
import { Line } from "./line.ts";
import { listen, SOCKET_OPTIONS } from "./listen.ts";
import type { Connection, SessionLifetime } from "./session.ts";
import { Session } from "./session.ts";
import type { TlsCertificates } from "./tls.ts";

/** Answers requests from connections of any kind. */
export interface RequestListener {
  onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: Peer): void;
  onRequest(exchange: Exchange): void;
}

export interface ListenerOptions {
  readonly requests: RequestListener;
  readonly queue: CallQueue;
  readonly gate: ConnectionGate;
  /** When set, the listener uses TLS. */
  readonly tls?: TlsCertificates | undefined;
  /** Overrides for the time limits of HTTP/2 connections. */
  readonly sessions?: Partial<SessionLifetime> | undefined;
  /** Overrides for the time limits of HTTP/1.1 connections. */
  readonly http1?: Partial<Http1Limits> | undefined;
  /** How long a connection may take to show its protocol, in ms. Default: 5 s. */
  readonly firstBytesMs?: number | undefined;
  /** How often connections are checked, in ms. Default: 500. */
  readonly lookMs?: number | undefined;
}

/** The first bytes from an HTTP/2 client (RFC 9113, 3.4). */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** The first byte from a TLS client: the type of a handshake record. */
const TLS_HANDSHAKE = 0x16;
const TOO_MANY_CONNECTIONS = "Too many connections from this address. Keep connections open and reuse them.";
/** Maximum number of refused connections that stay open to receive the reason. */
const MAX_REFUSALS = 64;

/**
 * The only listener of the service. It may listen on several addresses. Each address serves every protocol, over HTTP/2
 * and HTTP/1.1, with or without TLS.
 */
export class Listener implements AsyncDisposable {
  readonly #options: ListenerOptions;
  readonly #firstBytesMs: number;
  readonly #http1: Http1Server;
  readonly #tls: TlsServer | undefined;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  /** Connections whose HTTP version is known. */
  readonly #connections = new Map<Socket, Connection>();
  /**
   * Connections during their TLS handshake, by their endpoints. After the handshake, Node does not report the raw
   * connection of a secured one, so it is looked up here.
   */
  readonly #securing = new Map<string, Socket>();
  readonly #looks: NodeJS.Timeout;
  #refusals = 0;
  #closed: Promise<unknown> | undefined;

  constructor(options: ListenerOptions) {
    const { requests, tls, http1, firstBytesMs = 5_000, lookMs = 500 } = options;
    this.#options = options;
    this.#firstBytesMs = firstBytesMs;
    this.#http1 = new Http1Server({ onRequest: (exchange) => requests.onRequest(exchange), limits: http1 });
    this.#tls = tls === undefined ? undefined : this.#createTls(tls);
    this.#looks = setInterval(() => {
      const now = performance.now();
      for (const connection of this.#connections.values()) {
        connection.look(now);
      }
    }, lookMs).unref();
  }

  /**
   * Listens on one more address and returns it as `host:port`.
   *
   * @param portName names the port in errors, such as `GRPC_PORT`
   * @param host such as `127.0.0.1` or `::`
   * @param port 0 picks a free one
   * @throws ListenError when the address is unavailable
   */
  async listen(portName: string, host: string, port: number): Promise<string> {
    const server = createServer(SOCKET_OPTIONS, (socket) => this.accept(socket));
    this.#servers.push(server);
    return listen(server, portName, host, port);
  }

  /** Serves a connection that this listener or another process has accepted. */
  accept(socket: Socket): void {
    socket.on("error", ignore);
    if (this.#closed !== undefined) {
      socket.destroy();
      return;
    }
    if (!this.#options.gate.admit(socket)) {
      this.#refuse(socket);
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#connections.delete(socket);
    });
    const tls = this.#tls;
    if (tls === undefined) {
      this.#open(socket, socket);
      return;
    }
    onFirstBytes(socket, this.#firstBytesMs, (bytes) => {
      if (bytes[0] === TLS_HANDSHAKE) {
        const endpoints = endpointsOf(socket);
        this.#securing.set(endpoints, socket);
        socket.once("close", () => {
          // A client may reuse its port before the end of the old connection is noticed.
          if (this.#securing.get(endpoints) === socket) {
            this.#securing.delete(endpoints);
          }
        });
        socket.unshift(bytes);
        tls.emit("connection", socket);
      } else {
        refuseConnection(socket, "400 Bad Request", "This port requires TLS. Use https.");
      }
      return true;
    });
  }

  /** Accepts no more connections. Waits for running requests, for at most `graceMs`, and aborts the rest. */
  async drain(graceMs: number): Promise<void> {
    const closed = this.#stopListening();
    for (const socket of this.#sockets) {
      const connection = this.#connections.get(socket);
      if (connection === undefined) {
        // It has not sent a request yet.
        socket.destroy();
      } else {
        connection.retire();
      }
    }
    const cut = setTimeout(() => this.#destroyAll(), graceMs);
    await closed;
    clearTimeout(cut);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#stopListening();
    this.#destroyAll();
    await closed;
    clearInterval(this.#looks);
    this.#tls?.close();
  }

  /** Sends HTTP/1.1 clients the reason. Closes the connections of other clients without an answer. */
  #refuse(socket: Socket): void {
    if (this.#tls !== undefined || this.#refusals >= MAX_REFUSALS) {
      socket.destroy();
      return;
    }
    this.#refusals++;
    socket.once("close", () => {
      this.#refusals--;
    });
    onFirstBytes(socket, 1_000, (bytes) => {
      if (bytes[0] === PREFACE[0] && bytes[1] === PREFACE[1]) {
        socket.destroy();
      } else {
        refuseConnection(socket, "429 Too Many Requests\r\nRetry-After: 10", TOO_MANY_CONNECTIONS);
      }
      return true;
    });
  }

  /** @param raw the connection below TLS; without TLS, the same as `socket` */
  #open(socket: Socket, raw: Socket): void {
    onFirstBytes(socket, this.#firstBytesMs, (bytes) => {
      const length = Math.min(bytes.byteLength, PREFACE.byteLength);
      const isHttp2 = bytes.subarray(0, length).equals(PREFACE.subarray(0, length));
      if (isHttp2 && length < PREFACE.byteLength) {
        return false;
      }
      socket.unshift(bytes);
      this.#serve(socket, raw, isHttp2);
      return true;
    });
  }

  #serve(socket: Socket, raw: Socket, isHttp2: boolean): void {
    const { queue, requests, sessions } = this.#options;
    const address = raw.remoteAddress;
    if (address === undefined || raw.destroyed) {
      // The connection has broken and has no address, so its calls could not be assigned to a caller.
      raw.destroy();
      return;
    }
    const peer = { address: toCallerAddress(address), line: new Line(queue, isHttp2 ? Infinity : MAX_UNANSWERED) };
    const connection = isHttp2
      ? new Session({
          socket,
          raw,
          peer,
          onStream: (stream, headers) => requests.onStream(stream, headers, peer),
          lifetime: sessions,
        })
      : this.#http1.accept(socket, peer);
    this.#connections.set(raw, connection);
  }

  #createTls(certificates: TlsCertificates): TlsServer {
    const server = createTlsServer({
      ...certificates.serverOptions,
      noDelay: true,
      ALPNProtocols: ["h2", "http/1.1"],
    });
    certificates.follow(server);
    server.on("secureConnection", (socket) => {
      socket.on("error", ignore);
      const raw = this.#securing.get(endpointsOf(socket));
      if (raw === undefined) {
        socket.destroy();
      } else {
        this.#open(socket, raw);
      }
    });
    // Node keeps the connection open when a handshake fails or takes too long.
    server.on("tlsClientError", (_error, socket) => socket.destroy());
    return server;
  }

  /** Resolves when every connection has closed. */
  #stopListening(): Promise<unknown> {
    this.#closed ??= Promise.all([
      ...this.#servers.filter((server) => server.listening).map((server) => whenClosed(server.close())),
      ...this.#sockets.values().map(whenClosed),
    ]);
    return this.#closed;
  }

  #destroyAll(): void {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }
}

function whenClosed(closing: Server | Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  closing.once("close", resolve);
  return promise;
}

function endpointsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

function ignore(): void {}
