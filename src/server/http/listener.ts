import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";

import type { Logger } from "../../telemetry/logger.ts";
import { ArrivalWatch } from "../http2/arrival-watch.ts";
import { answerBrokenRequests } from "./broken-requests.ts";
import { Pipelines } from "./pipelines.ts";
import { defuseHeaders, listBytes } from "../http2/header-bombs.ts";
import { refuseStream } from "../limits/refuse-stream.ts";
import { holdStreams } from "../http2/held-streams.ts";
import { nameAnswers } from "../http2/name-answers.ts";
import { limitSession, type SessionLifetime, sessionLimits } from "../http2/sessions.ts";
import type { TlsCertificates } from "../tls/certificates.ts";
import { UnreadAnswers } from "../limits/unread-answers.ts";
import { cutHalfClosed } from "../linger.ts";
import { UnheardStreams } from "../http2/unheard-streams.ts";

export interface HttpListenerOptions {
  /** With it, the listener speaks TLS, and HTTP/2 to whoever offers it in the handshake. */
  readonly tls?: TlsCertificates | undefined;
  /** How long the headers of an HTTP/1.1 request may take to arrive, in ms. */
  readonly headersTimeoutMs: number;
  /** How long a request may take to arrive, in ms. */
  readonly arrivalTimeoutMs: number;
  /** How long a finished answer may lie without its client taking any of it, in ms. */
  readonly stallTimeoutMs: number;
  /** Sees every request of HTTP/1.1 before it costs anything, and begins or refuses it. Default: begins all. */
  readonly admit?: ((request: IncomingMessage, response: ServerResponse, begin: () => void) => void) | undefined;
  /** The same for HTTP/2; says whether it has begun or will begin, unlike one that is refused. */
  readonly admitStream?:
    | ((stream: ServerHttp2Stream, headers: IncomingHttpHeaders, begin: () => void) => boolean)
    | undefined;
  /** Deviations from the usual life of HTTP/2 connections. */
  readonly sessions?: Partial<SessionLifetime> | undefined;
  /** How long a client may leave its side open after the server has closed its own, in ms. Default: 30 s. */
  readonly lingerMs?: number | undefined;
  readonly logger: Logger;
}

type RequestListener = (request: IncomingMessage, response: ServerResponse) => void;

/** The kernel asks after a quiet peer of HTTP/1.1; over HTTP/2 there are pings. */
const KEEP_ALIVE_MS = 60_000;
const MAX_HEADER_BYTES = 16 * 1024;

/** A server that does not listen yet. */
export function createHttpListener(
  options: HttpListenerOptions,
  onOpenRequest: RequestListener,
): Server | Http2SecureServer {
  const { tls, headersTimeoutMs, arrivalTimeoutMs, stallTimeoutMs, logger } = options;
  const { admit, admitStream = admitAll } = options;
  const unread = new UnreadAnswers();
  const onRequest: RequestListener = (request, response) => {
    unread.watch(response, { stallTimeoutMs });
    onOpenRequest(request, response);
  };
  const http1 = {
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    headersTimeout: headersTimeoutMs,
    requestTimeout: arrivalTimeoutMs,
    connectionsCheckingInterval: 1000,
    maxHeaderSize: MAX_HEADER_BYTES,
    // Node would answer by itself, and without a request id.
    requireHostHeader: false,
  };
  const watchRefusal = (answer: ServerResponse | ServerHttp2Stream): void => {
    if (answer.writableLength > 0) {
      // Not taken at once.
      unread.watch(answer, { stallTimeoutMs, isFinished: true });
    }
  };
  const pipelines = new Pipelines();
  const onHttp1Request: RequestListener = (request, response) => {
    if (!pipelines.admits(request, response)) {
      return;
    }
    if (admit === undefined) {
      onRequest(request, response);
      return;
    }
    admit(request, response, () => onRequest(request, response));
    if (response.writableEnded) {
      watchRefusal(response);
    }
  };
  if (tls === undefined) {
    const plain = createServer(http1, onHttp1Request);
    answerBrokenRequests(plain, logger);
    return plain;
  }
  const server = createSecureServer({
    ...tls.serverOptions,
    ...http1,
    allowHTTP1: true,
    settings: { maxConcurrentStreams: 100, maxHeaderListSize: MAX_HEADER_BYTES },
    // In MB, for streams, headers and queues together.
    maxSessionMemory: 10,
    ...sessionLimits,
    maxSessionRejectedStreams: 100,
    unknownProtocolTimeout: headersTimeoutMs,
  });
  answerBrokenRequests(server, logger);
  tls.follow(server);
  server.on("secureConnection", (socket) => cutHalfClosed(socket, options.lingerMs));
  const unheard = new UnheardStreams();
  server.on("session", (session) => {
    unheard.watch(session);
    limitSession(session, options.sessions);
  });
  const arrivals = new ArrivalWatch(arrivalTimeoutMs, endLate);
  // The requests and responses of HTTP/2 look like those of HTTP/1.1, in all that is used of them here.
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    if (request.httpVersionMajor === 1) {
      onHttp1Request(request, response);
    }
  });
  holdStreams(server, (stream, headers, rawHeaders, serve) => {
    stream.on("error", () => {});
    if (stream.destroyed || defuseHeaders(stream, rawHeaders)) {
      return;
    }
    if (listBytes(rawHeaders) > MAX_HEADER_BYTES) {
      // The limit in the settings binds only who has acknowledged them.
      nameAnswers(stream, headers);
      refuseStream(stream, [":status", "431"]);
      stream.session?.close();
      return;
    }
    let handle = (): void => {};
    const begin = (): void => {
      if (!stream.destroyed) {
        handle();
      }
    };
    let hasWaited = false;
    // Many a stream that was opened to be reset is gone at the end of the turn.
    const isAdmitted = admitStream(stream, headers, () => (hasWaited ? begin() : setImmediate(begin)));
    hasWaited = true;
    if (!isAdmitted) {
      watchRefusal(stream);
      return;
    }
    nameAnswers(stream, headers);
    if (!stream.endAfterHeaders) {
      arrivals.watch(stream);
    }
    serve((request, response) => {
      handle = () => onRequest(request, response);
    });
  });
  server.once("close", () => {
    arrivals[Symbol.dispose]();
    unheard[Symbol.dispose]();
  });
  return server;
}

function admitAll(_stream: ServerHttp2Stream, _headers: IncomingHttpHeaders, begin: () => void): true {
  begin();
  return true;
}

function endLate(stream: ServerHttp2Stream): void {
  if (!stream.destroyed && !stream.headersSent) {
    stream.respond({ ":status": 408 }, { endStream: true });
  }
  stream.close(constants.NGHTTP2_NO_ERROR);
}
