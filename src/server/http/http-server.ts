import type { IncomingMessage, ServerResponse } from "node:http";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";

import { REQUEST_ID_HEADER, requestIdOf } from "../../rpc/request-id.ts";
import { stallTimeoutOf } from "../limits/call-limits.ts";
import { ConnectionGate } from "../limits/connection-gate.ts";
import { destroyAll } from "../destroy-all.ts";
import type { AllowedOrigins } from "./cors.ts";
import { withCors } from "./cors.ts";
import type { HttpAdmission } from "../../rpc/admission.ts";
import { admitHttpStream, admitRequest } from "../limits/admit.ts";
import { isGone } from "../limits/is-gone.ts";
import { createHttpListener } from "./listener.ts";
import { rpcHandlers } from "./rpc.ts";
import { type HttpHandlers, sendText, toRoutes } from "./routes.ts";
import { RunningRequests } from "./running-requests.ts";
import { listen } from "../listen.ts";
import { IncompleteRequests } from "../limits/incomplete-requests.ts";
import { createAgeCheck } from "./http1-age.ts";
import { usualLifetime } from "../http2/sessions.ts";
import type { ListenerOptions } from "../listener-options.ts";
import { withOwnHosts } from "./own-hosts.ts";
import { runListener, type RunningListener } from "../running-listener.ts";

export interface HttpServerOptions extends ListenerOptions {
  /** Asked for calls of the services, but not for plain HTTP. Default: all may come in. */
  readonly admission?: HttpAdmission | undefined;
  /** Plain HTTP beside the services. */
  readonly handlers: HttpHandlers;
  /** The origins whose pages may call, beside the service's own. Default: none. */
  readonly origins?: AllowedOrigins | undefined;
  /** Whether a request may be for this host; others are answered 421, but for probes. Default: it may be for any. */
  readonly isOwnHost?: ((host: string) => boolean) | undefined;
  /** How long a request's headers may take to arrive, in ms, give or take a second. Default: 5 s. */
  readonly headersTimeoutMs?: number | undefined;
}

/** How long a connection without a request stays open when the listener is drained, so that one on its way is answered. */
const QUIET_MS = 100;

/** How long a request whose headers are here may then take for the rest. */
const INCOMPLETE_MS = 1000;

/**
 * Starts the HTTP listener: Connect and gRPC-Web for the services, and plain HTTP. With TLS, whoever offers HTTP/2 in the
 * handshake is spoken to so.
 *
 * @throws {ListenError} when the address cannot be had
 */
export async function startHttpServer(options: HttpServerOptions): Promise<RunningListener> {
  const { logger } = options;
  const rpcs = rpcHandlers(options.services, options.incomplete ?? new IncompleteRequests(), options);
  const routes = toRoutes(options.handlers);
  const isOld = createAgeCheck(options.sessions?.ageMs ?? usualLifetime.ageMs);
  let draining = false;

  // What a page sends needs more headers in its answer.
  const isAskedEarly = ({ origin }: IncomingHttpHeaders, url = ""): boolean => origin === undefined && rpcs.has(url);
  const closeInTime = (request: IncomingMessage, response: ServerResponse): void => {
    if (isOld(request) || draining) {
      closeAfterAnswer(request, response);
    }
  };
  const admit = (request: IncomingMessage, response: ServerResponse, begin: () => void): void => {
    if (!isAskedEarly(request.headers, request.url)) {
      begin();
      return;
    }
    closeInTime(request, response);
    admitRequest(options.admission, request, response, begin);
  };
  const admitStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, begin: () => void): boolean =>
    admitHttpStream(isAskedEarly(headers, headers[":path"]) ? options.admission : undefined, stream, headers, begin);

  /** Says what happened when an answer has failed, to the client too if it can still be told. */
  const settle = (request: IncomingMessage, response: ServerResponse, answered: Promise<void>): void => {
    answered.catch((error: unknown) => {
      const requestId = request.headers[REQUEST_ID_HEADER];
      if (isGone(response)) {
        logger.debug("a client left before its answer", { requestId, err: error });
        return;
      }
      logger.error("a request failed unexpectedly", { requestId, err: error });
      if (response.headersSent) {
        response.destroy();
      } else {
        sendText(response, 500, "Something went wrong.");
      }
    });
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (isGone(response) || request.socket.remoteAddress === undefined) {
      // Nobody waits for it, and nobody could be named or charged for it.
      response.destroy();
      return;
    }
    // Connect makes a URL of both, and throws where nobody would catch.
    const host = request.headers[":authority"] ?? request.headers.host;
    const url = URL.parse(request.url ?? "", `http://${host?.toString()}`);
    if (host === undefined || url === null || hasSeveralHosts(request)) {
      closeAfterAnswer(request, response);
      sendText(response, 400, "The request has no valid Host header or target.");
      return;
    }
    const rpc = rpcs.get(url.pathname);
    if (rpc !== undefined) {
      const admission = isAskedEarly(request.headers, request.url) ? undefined : options.admission;
      admitRequest(admission, request, response, () => settle(request, response, rpc(request, response)));
      return;
    }
    const methods = routes.get(url.pathname);
    if (methods === undefined) {
      sendText(response, 404, "Nothing is served here. RPCs are at /package.Service/Method.");
      return;
    }
    const handler = methods.get(request.method ?? "");
    if (handler === undefined) {
      const allow = [...methods.keys()].join(", ");
      sendText(response, 405, `Allowed here: ${allow}.`, { allow });
      return;
    }
    await handler(request, response);
  };

  const answerOwn = withCors(options.origins ?? [], (request: IncomingMessage, response: ServerResponse) => {
    closeInTime(request, response);
    response.once("close", () => {
      // Node's server for both versions has it too, though its types do not say so.
      if (draining && "closeIdleConnections" in server) {
        server.closeIdleConnections();
      }
    });
    settle(request, response, serve(request, response));
  });
  const answer = withRequestId(withOwnHosts(options.isOwnHost, answerOwn));
  const server = createHttpListener(
    {
      tls: options.tls,
      headersTimeoutMs: options.headersTimeoutMs ?? 5000,
      arrivalTimeoutMs: options.arrivalTimeoutMs ?? 15_000,
      stallTimeoutMs: stallTimeoutOf(options.limits),
      admit,
      admitStream,
      sessions: options.sessions,
      lingerMs: options.lingerMs,
      logger,
    },
    answer,
  );
  const gate = new ConnectionGate(options.connections);
  const sockets = new Set<Socket>();
  const running = new RunningRequests();
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    if (!response.writableEnded) {
      running.add(request, response);
    }
  });
  server.on("connection", (socket: Socket) => {
    if (gate.admit(socket)) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    }
  });
  const address = await listen(server, "HTTP", options.host, options.port);

  return runListener({
    address,
    server,
    sockets,
    onDrain() {
      draining = true;
    },
    onStopped(graceMs) {
      setTimeout(() => destroyAll(running.without(sockets)), Math.min(graceMs, QUIET_MS)).unref();
      setTimeout(() => running.cutIncomplete(), Math.min(graceMs, INCOMPLETE_MS)).unref();
    },
  });
}

/** Gives every request an id, in its own header for those who come after, and in the answer's. */
function withRequestId(
  listener: (request: IncomingMessage, response: ServerResponse) => void,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const requestId = requestIdOf(request.headers[REQUEST_ID_HEADER]?.toString() ?? null);
    request.headers[REQUEST_ID_HEADER] = requestId;
    response.setHeader(REQUEST_ID_HEADER, requestId);
    listener(request, response);
  };
}

/** A proxy may go by another one of them than Node does. */
function hasSeveralHosts({ rawHeaders }: IncomingMessage): boolean {
  const isHost = (text: string, index: number): boolean => index % 2 === 0 && text.toLowerCase() === "host";
  return rawHeaders.findIndex(isHost) !== rawHeaders.findLastIndex(isHost);
}

/** HTTP/2 has no such header: its connections are told with GOAWAY. */
function closeAfterAnswer(request: IncomingMessage, response: ServerResponse): void {
  if (request.httpVersionMajor === 1) {
    response.setHeader("connection", "close");
  }
}
