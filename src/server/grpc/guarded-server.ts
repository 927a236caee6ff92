import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";

import { Server, type ServerOptions } from "@grpc/grpc-js";

import { defuseHeaders } from "../http2/header-bombs.ts";
import { sessionLimits } from "../http2/sessions.ts";

/** What grpc-js calls for every new stream of a connection. */
const STREAM_HANDLER = "_streamHandler";

/** What grpc-js calls for the handler of new connections. */
const SESSION_HANDLER_OF = "_sessionHandler";

/** Where grpc-js keeps what it gives to node:http2. */
const HTTP2_OPTIONS = "commonServerOptions";

/**
 * A grpc-js server that survives floods of headers, and streams which are gone before they are looked at. grpc-js 1.14
 * answers unknown methods and wrong content types without checking, and the exception would end the process: one packet
 * with a call and a reset would do.
 *
 * @param receive sees every stream that is alive, before grpc-js does, and answers it or has grpc-js do so
 * @param onSession sees every new connection
 * @throws {TypeError} when grpc-js has been rebuilt so that this guard no longer fits
 */
export function createGuardedServer(
  options: ServerOptions,
  receive: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, begin: () => void) => void,
  onSession: (session: ServerHttp2Session) => void,
): Server {
  // With channelz, another handler would be called.
  const server = new Server({ ...options, "grpc.enable_channelz": 0 });
  const original: unknown = Reflect.get(server, STREAM_HANDLER);
  const originalSessions: unknown = Reflect.get(server, SESSION_HANDLER_OF);
  const sessionOptions: unknown = Reflect.get(server, HTTP2_OPTIONS);
  if (
    typeof original !== "function" ||
    typeof originalSessions !== "function" ||
    typeof sessionOptions !== "object" ||
    sessionOptions === null
  ) {
    throw new TypeError("grpc-js has changed: its streams cannot be guarded");
  }
  // grpc-js has no options for these.
  Object.assign(sessionOptions, sessionLimits);
  Reflect.set(server, SESSION_HANDLER_OF, (http2Server: unknown) => {
    const handle: unknown = Reflect.apply(originalSessions, server, [http2Server]);
    return (session: ServerHttp2Session) => {
      onSession(session);
      if (typeof handle === "function") {
        Reflect.apply(handle, server, [session]);
      }
    };
  });
  Reflect.set(
    server,
    STREAM_HANDLER,
    (
      interceptors: unknown,
      stream: ServerHttp2Stream,
      headers: IncomingHttpHeaders,
      _flags: number,
      rawHeaders: readonly string[],
    ) => {
      if (stream.destroyed) {
        // Its error is yet to come.
        stream.on("error", () => {});
      } else if (!defuseHeaders(stream, rawHeaders)) {
        receive(stream, headers, () => Reflect.apply(original, server, [interceptors, stream, headers]));
      }
    },
  );
  return server;
}
