import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

import type { ServiceImplSpec } from "@connectrpc/connect";

import { ConnectionGate, type ConnectionLimits } from "./connection-gate.ts";
import type { AllowedOrigins } from "./cors.ts";
import { withCors } from "./cors.ts";
import { createHttpListener } from "./http-listener.ts";
import { rpcHandlers } from "./http-rpc.ts";
import { type HttpHandlers, sendText, toRoutes } from "./http-routes.ts";
import { destroyAll } from "./destroy-all.ts";
import { listen } from "./listen.ts";
import type { SessionLifetime } from "./http2-sessions.ts";
import type { MountOptions } from "./mount-options.ts";
import { withOwnHosts } from "./own-hosts.ts";
import type { TlsCertificates } from "./tls-certificates.ts";

export interface HttpServerOptions extends MountOptions {
  /** The address to listen on, such as `127.0.0.1` or `::`. */
  readonly host: string;
  /** The port; 0 picks a free one. */
  readonly port: number;
  /** The services, as `createServiceImplSpec` gives them, for Connect and gRPC-Web. */
  readonly services: readonly ServiceImplSpec[];
  /** Plain HTTP beside them. */
  readonly handlers: HttpHandlers;
  /** The origins whose pages may call, beside the service's own. Default: none. */
  readonly origins?: AllowedOrigins | undefined;
  /** Whether a request may be for this host; others are answered 421, but for probes. Default: it may be for any. */
  readonly isOwnHost?: ((host: string) => boolean) | undefined;
  /** Deviations from the usual limits of connections. */
  readonly connections?: Partial<ConnectionLimits> | undefined;
  /** How long a request's headers may take to arrive, in ms, give or take a second. Default: 5 s. */
  readonly headersTimeoutMs?: number | undefined;
  /** How long a request may take to arrive, in ms, give or take a second. Default: 15 s. */
  readonly arrivalTimeoutMs?: number | undefined;
  /** With it, the listener speaks TLS, and HTTP/2 to whoever offers it in the handshake. */
  readonly tls?: TlsCertificates | undefined;
  /** Deviations from the usual life of HTTP/2 connections. */
  readonly sessions?: Partial<SessionLifetime> | undefined;
}

/** An HTTP listener that serves. Disposing it ends all requests at once; drain it first. */
export interface HttpServer extends AsyncDisposable {
  /** `host:port` */
  readonly address: string;
  /**
   * Takes no more connections, and lets running requests finish. Resolves when all are done, or after the grace
   * period, when the rest has been cut.
   */
  drain(graceMs: number): Promise<void>;
}

/**
 * Starts the HTTP listener: Connect and gRPC-Web for the services, and plain HTTP.
 *
 * @throws {ListenError} when the address cannot be had
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { logger } = options;
  const rpcs = rpcHandlers(options.services, options);
  const routes = toRoutes(options.handlers);
  let draining = false;

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // Connect makes a URL of both, and throws where nobody would catch.
    const host = request.headers[":authority"] ?? request.headers.host;
    const url = URL.parse(request.url ?? "", `http://${host?.toString()}`);
    if (host === undefined || url === null) {
      closeAfter(request, response);
      sendText(response, 400, "The request has no valid Host header or target.");
      return;
    }
    const rpc = rpcs.get(url.pathname);
    if (rpc !== undefined) {
      await rpc(request, response);
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
    let isGone = false;
    if (draining) {
      closeAfter(request, response);
    }
    response.once("close", () => {
      isGone = true;
      // Node's server for both versions has it too, though its types do not say so.
      if (draining && "closeIdleConnections" in server) {
        server.closeIdleConnections();
      }
    });
    serve(request, response).catch((error: unknown) => {
      if (isGone || response.destroyed) {
        logger.debug("a client left before its answer", { path: request.url, err: error });
        return;
      }
      logger.error("a request failed unexpectedly", { err: error });
      if (response.headersSent) {
        response.destroy();
      } else {
        sendText(response, 500, "Something went wrong.");
      }
    });
  });
  const answer = withOwnHosts(options.isOwnHost, answerOwn);
  const server = createHttpListener(
    {
      tls: options.tls,
      headersTimeoutMs: options.headersTimeoutMs ?? 5000,
      arrivalTimeoutMs: options.arrivalTimeoutMs ?? 15_000,
      sessions: options.sessions,
    },
    answer,
  );
  const gate = new ConnectionGate(options.connections);
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    if (gate.admit(socket)) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    }
  });
  const address = await listen(server, "HTTP", options.host, options.port);

  const drain = async (graceMs: number): Promise<void> => {
    draining = true;
    const closed = once(server, "close");
    server.close();
    const cut = setTimeout(() => {
      destroyAll(sockets);
    }, graceMs);
    await closed;
    clearTimeout(cut);
  };
  return {
    address,
    drain,
    async [Symbol.asyncDispose]() {
      if (server.listening) {
        await drain(0);
      }
      destroyAll(sockets);
    },
  };
}

/** HTTP/2 has no such header: its connections are told with GOAWAY. */
function closeAfter(request: IncomingMessage, response: ServerResponse): void {
  if (request.httpVersionMajor === 1) {
    response.setHeader("connection", "close");
  }
}
