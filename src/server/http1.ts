import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { Socket } from "node:net";
import type { Exchange, Peer } from "./exchange.ts";
import { Http1Exchange } from "./http1-exchange.ts";
import type { Connection } from "./session.ts";

/** Time limits of HTTP/1.1 connections, in ms. */
export interface Http1Limits {
  /** For receiving the headers of a request. Default: 5 s. */
  readonly headersMs: number;
  /** For a connection without a request. Default: 120 s. */
  readonly idleMs: number;
  /** For the client to close its side after the server has closed its side. Default: 30 s. */
  readonly lingerMs: number;
  /** For a connection without a request while the listener drains. One may still be arriving. Default: 100 ms. */
  readonly quietMs: number;
}

const USUAL: Http1Limits = { headersMs: 5_000, idleMs: 120_000, lingerMs: 30_000, quietMs: 100 };

const MAX_HEADER_BYTES = 16 * 1_024;

/** Maximum number of unanswered requests of a connection. At the limit, nothing more is read from it. */
export const MAX_UNANSWERED = 8;
/** Bytes that are parsed between two checks of the limit. A single read of the socket can return 2,000 requests. */
const SLICE_BYTES = 1_024;
/** How long parsing pauses when the body of a request arrives faster than it is read, in ms. */
const BODY_PAUSE_MS = 5;

/** The answers to requests that cannot be parsed, by Node's error code. */
const FAULTS: Readonly<Record<string, readonly [status: string, text: string]>> = {
  HPE_HEADER_OVERFLOW: ["431 Request Header Fields Too Large", "The headers are larger than 16 KiB."],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ["413 Payload Too Large", "The chunk extensions are too large."],
};
const MALFORMED = ["400 Bad Request", "This is not a valid HTTP/1.1 request."] as const;

export interface Http1Options {
  readonly onRequest: (exchange: Exchange) => void;
  readonly limits?: Partial<Http1Limits> | undefined;
}

/** Parses HTTP/1.1 on connections that the listener has accepted. */
export class Http1Server {
  readonly #server: Server;
  readonly #limits: Http1Limits;
  readonly #connections = new WeakMap<Socket, Http1Connection>();

  constructor({ onRequest, limits }: Http1Options) {
    this.#limits = { ...USUAL, ...limits };
    this.#server = createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      // The connection enforces this itself, because Node does so only for servers that listen.
      headersTimeout: 0,
      requestTimeout: 0,
      keepAliveTimeout: 0,
      // The router answers these requests instead, with a request id.
      requireHostHeader: false,
    });
    const serve = (request: IncomingMessage, response: ServerResponse): void => {
      const connection = this.#connections.get(request.socket);
      const exchange = connection?.open(request, response);
      if (exchange === undefined) {
        request.socket.destroy();
      } else {
        onRequest(exchange);
      }
    };
    this.#server.on("request", serve);
    // Treated like any other request, because Node's own answers would not be counted.
    this.#server.on("checkExpectation", serve);
    this.#server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
      if (socket.writableEnded) {
        // The request has been answered. Anything else from the client is discarded.
        return;
      }
      if (socket.writable && this.#connections.get(socket)?.isNextAnswerFree === true) {
        refuseConnection(socket, ...(FAULTS[error.code ?? ""] ?? MALFORMED));
      } else {
        socket.destroy();
      }
    });
  }

  /** Serves a connection. Any bytes read from it before must have been put back. */
  accept(socket: Socket, peer: Peer): Connection {
    const connection = new Http1Connection(socket, peer, this.#limits);
    this.#connections.set(socket, connection);
    // Paused, so that the server does not parse the bytes that were put back yet.
    socket.pause();
    this.#server.emit("connection", socket);
    connection.read();
    return connection;
  }
}

class Http1Connection implements Connection {
  readonly #socket: Socket;
  readonly #peer: Peer;
  readonly #limits: Http1Limits;
  readonly #exchanges: Http1Exchange[] = [];
  #newest: Http1Exchange | undefined;
  #idleSince = performance.now();
  #bytesWhenIdle = 0;
  #headBeganAt: number | undefined;
  #retiredAt: number | undefined;
  #endedAt: number | undefined;
  /** The number of requests since the last pause for the event loop. */
  #openedInTurn = 0;
  #isGivingWay = false;
  #isWaitingForReader = false;

  constructor(socket: Socket, peer: Peer, limits: Http1Limits) {
    this.#socket = socket;
    this.#peer = peer;
    this.#limits = limits;
    socket.once("close", () => {
      for (const exchange of this.#exchanges.slice()) {
        exchange.close();
      }
    });
  }

  /**
   * Feeds the parser slice by slice. Once "readable" has a listener, the server reads nothing itself. It parses only
   * the slices that are read here.
   */
  read(): void {
    this.#socket.on("readable", () => this.#parse());
    this.#socket.on("drain", () => this.#parse());
  }

  /** Whether there is no open request. */
  get isIdle(): boolean {
    return this.#exchanges.length === 0;
  }

  /** Whether the next answer belongs to the request that is being read. */
  get isNextAnswerFree(): boolean {
    const [first, second] = this.#exchanges;
    return first === undefined || (second === undefined && !first.hasArrived && !first.hasAnswered);
  }

  /** Counts a request until it has been answered. */
  open(request: IncomingMessage, response: ServerResponse): Http1Exchange {
    const exchange = new Http1Exchange(request, response, this.#peer);
    this.#headBeganAt = undefined;
    this.#openedInTurn++;
    this.#exchanges.push(exchange);
    this.#newest = exchange;
    if (this.#retiredAt !== undefined) {
      exchange.endConnection();
    }
    exchange.onClose(() => this.#close(exchange));
    return exchange;
  }

  look(now: number): void {
    const { headersMs, idleMs, lingerMs, quietMs } = this.#limits;
    if (this.#socket.writableEnded) {
      this.#endedAt ??= now;
    }
    if (this.#endedAt !== undefined) {
      if (now - this.#endedAt >= lingerMs) {
        this.#socket.destroy();
      }
    } else if (this.isIdle) {
      if (this.#socket.bytesRead > this.#bytesWhenIdle) {
        this.#headBeganAt ??= now;
      }
      if (this.#headBeganAt !== undefined && now - this.#headBeganAt >= headersMs) {
        refuseConnection(this.#socket, "408 Request Timeout", "The headers did not arrive in time.");
      } else if (now - this.#idleSince >= (this.#retiredAt === undefined ? idleMs : quietMs)) {
        this.#socket.destroy();
      }
    }
  }

  retire(): void {
    this.#retiredAt ??= performance.now();
    this.#idleSince = Math.max(this.#idleSince, this.#retiredAt);
    // Only the last one, because Node closes the connection after it and earlier requests must still be answered.
    this.#exchanges.at(-1)?.endConnection();
  }

  #close(exchange: Http1Exchange): void {
    this.#exchanges.splice(this.#exchanges.indexOf(exchange), 1);
    if (this.isIdle) {
      this.#idleSince = performance.now();
      this.#bytesWhenIdle = this.#socket.bytesRead;
    }
    this.#parse();
  }

  /**
   * Parses until enough requests wait for answers, the client stops reading answers, or other connections need a turn.
   */
  #parse(): void {
    const socket = this.#socket;
    while (this.#takesMore && socket.readableLength > 0) {
      if (this.#openedInTurn >= MAX_UNANSWERED) {
        this.#giveWay();
        return;
      }
      if (this.#isBodyFull) {
        this.#waitForReader();
        return;
      }
      if (socket.read(Math.min(SLICE_BYTES, socket.readableLength)) === null) {
        return;
      }
    }
  }

  get #takesMore(): boolean {
    const { destroyed, writableNeedDrain, writableHighWaterMark } = this.#socket;
    if (destroyed) {
      return false;
    }
    // Some clients send their whole request before they read anything.
    const isBodyNext = this.#arriving !== undefined;
    return (
      isBodyNext ||
      (this.#exchanges.length < MAX_UNANSWERED && !writableNeedDrain && this.#heldBytes < writableHighWaterMark)
    );
  }

  /** The exchange whose request is still arriving. */
  get #arriving(): Http1Exchange | undefined {
    const newest = this.#newest;
    return newest === undefined || newest.hasArrived || newest.isClosed ? undefined : newest;
  }

  /** Whether a body arrives faster than its handler reads it. Reading more would fill the memory. */
  get #isBodyFull(): boolean {
    const request = this.#arriving?.request;
    return request !== undefined && request.readableLength >= request.readableHighWaterMark;
  }

  /**
   * Bytes of answers that wait for an earlier one to end. At the high-water mark, no more requests are passed to Node.
   */
  get #heldBytes(): number {
    let bytes = 0;
    for (const { response } of this.#exchanges) {
      bytes += response.socket === null ? response.writableLength : 0;
    }
    return bytes;
  }

  /** Continues to parse after the handler has had time to read. Node's streams have no event for being read. */
  #waitForReader(): void {
    if (!this.#isWaitingForReader) {
      this.#isWaitingForReader = true;
      setTimeout(() => {
        this.#isWaitingForReader = false;
        this.#parse();
      }, BODY_PAUSE_MS).unref();
    }
  }

  /**
   * Lets the event loop run once. Without this pause, requests that are answered at once would all be parsed without a
   * break.
   */
  #giveWay(): void {
    if (!this.#isGivingWay) {
      this.#isGivingWay = true;
      setImmediate(() => {
        this.#isGivingWay = false;
        this.#openedInTurn = 0;
        this.#parse();
      });
    }
  }
}

/** How long a refused client may keep its side open, in ms. */
const GOODBYE_MS = 1_000;

/** Sends a final answer to a client and closes the connection. */
export function refuseConnection(socket: Socket, status: string, text: string): void {
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(text) + 1}\r\n\r\n${text}\n`,
  );
  // Closing with unread bytes would reset the connection before the client has read the answer.
  socket.resume();
  setTimeout(() => socket.destroy(), GOODBYE_MS).unref();
}
