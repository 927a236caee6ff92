import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { performServerHandshake } from "node:http2";
import type { Duplex } from "node:stream";
import type { Socket } from "node:net";
import type { Peer } from "./exchange.ts";

/** How long HTTP/2 connections live, in ms. */
export interface SessionLifetime {
  /** Until the client has sent its settings. Default: 5 s. */
  readonly prefaceMs: number;
  /** Without a stream. Default: 120 s. */
  readonly idleMs: number;
  /** In all; then GOAWAY. Default: 30 min. */
  readonly ageMs: number;
  /** How long running streams may go on after GOAWAY. Default: 10 min, as the longest call. */
  readonly graceMs: number;
  /** How long a connection without a stream may take to end after GOAWAY. Default: 1 s. */
  readonly goodbyeMs: number;
  /** How often a ping is sent. Default: 60 s. */
  readonly pingMs: number;
  /** How long the client may take to answer it. Default: 20 s. */
  readonly pongMs: number;
  /** How long it may keep its side open after the server has closed its own. Default: 30 s. */
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

/** The largest list of headers of a request, as HTTP/2 counts it, in bytes. */
const MAX_HEADER_LIST_BYTES = 16 * 1_024;
/** What HTTP/2 counts for a header beside its name and value (RFC 9113, 6.5.2). */
const HEADER_OVERHEAD_BYTES = 32;

/** Node's own limits. What is left out has a safe default. */
const OPTIONS = {
  settings: { maxConcurrentStreams: 100, maxHeaderListSize: MAX_HEADER_LIST_BYTES },
  // In MB, for streams, headers and queues together.
  maxSessionMemory: 10,
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  maxHeaderListPairs: 100,
};

/** A connection of either version of HTTP, as the listener sees it. */
export interface Connection {
  /** Ends what has lasted too long. Called about once a second. @param now ms on the monotonic clock */
  look(now: number): void;
  /** Takes no more requests, and ends when those that run have been answered. */
  retire(): void;
}

export interface SessionOptions {
  readonly socket: Duplex;
  /** The connection below TLS. */
  readonly raw: Socket;
  readonly peer: Peer;
  /** Called for each request. The stream has a listener for errors. */
  readonly onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: Peer) => void;
  /** Deviations from the usual life. */
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
      // One that its client has reset without an error is closed and not destroyed yet; it takes no answer either.
      if (stream.destroyed || stream.closed) {
        return;
      }
      this.#streams++;
      stream.on("close", this.#onStreamClose);
      if (headerListBytes(rawHeaders) > MAX_HEADER_LIST_BYTES) {
        // The limit in the settings binds only clients that have acknowledged them.
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

function headerListBytes(rawHeaders: readonly string[]): number {
  let bytes = (rawHeaders.length / 2) * HEADER_OVERHEAD_BYTES;
  for (const text of rawHeaders) {
    bytes += text.length;
  }
  return bytes;
}

function ignore(): void {}
