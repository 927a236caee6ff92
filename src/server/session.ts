import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { constants, performServerHandshake } from "node:http2";
import type { Duplex } from "node:stream";
import type { Socket } from "node:net";
import type { Peer } from "./exchange.ts";

/** Time limits of HTTP/2 connections, in ms. */
export interface SessionLifetime {
  /** For receiving the client's settings. Default: 5 s. */
  readonly prefaceMs: number;
  /** For a connection without a stream. Default: 120 s. */
  readonly idleMs: number;
  /** The maximum age, after which GOAWAY is sent. Default: 30 min. */
  readonly ageMs: number;
  /** How long running streams may continue after GOAWAY. Default: 10 min, the same as the longest call. */
  readonly graceMs: number;
  /** How long a connection without a stream may take to end after GOAWAY. Default: 1 s. */
  readonly goodbyeMs: number;
  /** How often a ping is sent. Default: 60 s. */
  readonly pingMs: number;
  /** How long the client may take to answer a ping. Default: 20 s. */
  readonly pongMs: number;
  /** How long the client may keep its side open after the server has closed its side. Default: 30 s. */
  readonly lingerMs: number;
}

const USUAL: SessionLifetime = {
  prefaceMs: 5_000,
  idleMs: 120_000,
  ageMs: 30 * 60_000,
  graceMs: 10 * 60_000,
  goodbyeMs: 1_000,
  pingMs: 60_000,
  pongMs: 20_000,
  lingerMs: 30_000,
};

/** Maximum size of a request's header list, as HTTP/2 counts it, in bytes. */
const MAX_HEADER_LIST_BYTES = 16 * 1_024;
/** The overhead that HTTP/2 counts for each header, in addition to name and value (RFC 9113, 6.5.2). */
const HEADER_OVERHEAD_BYTES = 32;

/** Limits that Node enforces. Options that are not listed have safe defaults. */
const OPTIONS = {
  settings: { maxConcurrentStreams: 100, maxHeaderListSize: MAX_HEADER_LIST_BYTES },
  // In MB, for streams, headers and queues together.
  maxSessionMemory: 10,
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  maxHeaderListPairs: 100,
};

/** The parts of an HTTP/1.1 or HTTP/2 connection that the listener uses. */
export interface Connection {
  /** Enforces the time limits. Called every 500 ms by default. @param now ms on the monotonic clock */
  look(now: number): void;
  /** Accepts no more requests, and ends when the running ones have been answered. */
  retire(): void;
}

export interface SessionOptions {
  readonly socket: Duplex;
  /** The connection below TLS. */
  readonly raw: Socket;
  readonly peer: Peer;
  /** Called for each request. The stream has a listener for errors. */
  readonly onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: Peer) => void;
  /** Overrides for the time limits. */
  readonly lifetime?: Partial<SessionLifetime> | undefined;
}

/** One HTTP/2 connection. */
export class Session implements Connection {
  readonly #socket: Duplex;
  readonly #raw: Socket;
  readonly #session: ServerHttp2Session;
  readonly #lifetime: SessionLifetime;
  readonly #beganAt = performance.now();
  #hasSettings = false;
  #streams = 0;
  #idleSince = this.#beganAt;
  #retiredAt: number | undefined;
  #pingedAt = this.#beganAt;
  #isPongDue = false;
  #endedAt: number | undefined;
  readonly #onStreamClose = (): void => {
    this.#streams--;
    if (this.#streams === 0) {
      this.#idleSince = performance.now();
    }
  };

  constructor({ socket, raw, peer, onStream, lifetime }: SessionOptions) {
    this.#socket = socket;
    this.#raw = raw;
    this.#lifetime = { ...USUAL, ...lifetime };
    this.#session = performServerHandshake(socket, OPTIONS);
    this.#session.on("error", ignore);
    this.#session.once("remoteSettings", () => {
      this.#hasSettings = true;
    });
    this.#session.on("stream", (stream, headers, _flags, rawHeaders) => {
      stream.on("error", ignore);
      // A stream that its client has reset without an error is closed but not destroyed yet. It accepts no answer.
      if (stream.destroyed || stream.closed) {
        return;
      }
      this.#streams++;
      stream.on("close", this.#onStreamClose);
      stream.on("aborted", destroyReset);
      if (headerListBytes(rawHeaders) > MAX_HEADER_LIST_BYTES) {
        // Clients that have not acknowledged the settings may exceed the limit in them.
        stream.respond({ ":status": 431 }, { endStream: true });
        this.#session.destroy();
        return;
      }
      onStream(stream, headers, peer);
    });
  }

  look(now: number): void {
    const { prefaceMs, idleMs, ageMs, graceMs, goodbyeMs, pingMs, pongMs, lingerMs } = this.#lifetime;
    if (this.#socket.writableEnded) {
      this.#endedAt ??= now;
    }
    const isOverdue =
      (!this.#hasSettings && now - this.#beganAt >= prefaceMs) ||
      (this.#isPongDue && now - this.#pingedAt >= pongMs) ||
      (this.#endedAt !== undefined && now - this.#endedAt >= lingerMs) ||
      (this.#retiredAt !== undefined && now - this.#retiredAt >= (this.#streams === 0 ? goodbyeMs : graceMs));
    if (isOverdue) {
      this.#session.destroy();
      this.#raw.destroy();
      return;
    }
    if (now - this.#beganAt >= ageMs || (this.#streams === 0 && now - this.#idleSince >= idleMs)) {
      this.retire();
    }
    if (!this.#isPongDue && now - this.#pingedAt >= pingMs) {
      this.#ping(now);
    }
  }

  retire(): void {
    if (this.#retiredAt === undefined) {
      this.#retiredAt = performance.now();
      this.#session.close();
    }
  }

  #ping(now: number): void {
    if (this.#session.destroyed || this.#session.closed) {
      return;
    }
    this.#pingedAt = now;
    this.#isPongDue = true;
    this.#session.ping((error) => {
      this.#isPongDue = error !== null;
    });
  }
}

/**
 * Closes a stream that its client has reset without an error. Node waits until the whole request has been read, which
 * may never happen. The server itself closes only answered streams without an error, and these emit no "aborted".
 */
function destroyReset(this: ServerHttp2Stream): void {
  if (this.rstCode === constants.NGHTTP2_NO_ERROR) {
    this.destroy();
  }
}

function headerListBytes(rawHeaders: readonly string[]): number {
  let bytes = (rawHeaders.length / 2) * HEADER_OVERHEAD_BYTES;
  for (const text of rawHeaders) {
    bytes += text.length;
  }
  return bytes;
}

function ignore(): void {}
