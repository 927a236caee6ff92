import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";

import { Server, type ServerOptions } from "@grpc/grpc-js";

import { sessionLimits } from "./http2-sessions.ts";

/** What grpc-js calls for every new stream of a connection. */
const streamHandler = "_streamHandler";

/** Where grpc-js keeps what it gives to node:http2. */
const http2Options = "commonServerOptions";

/**
 * A grpc-js server that survives streams which are gone before they are looked at. grpc-js 1.14 answers unknown methods
 * and wrong content types without checking, and the exception would end the process: one packet with a call and a
 * reset would do.
 *
 * @param takes sees every stream that is alive, before grpc-js does, and says whether it has dealt with it
 * @throws {TypeError} when grpc-js has been rebuilt so that this guard no longer fits
 */
export function createGuardedServer(
  options: ServerOptions,
  takes: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean,
): Server {
  // With channelz, another handler would be called.
  const server = new Server({ ...options, "grpc.enable_channelz": 0 });
  const original: unknown = Reflect.get(server, streamHandler);
  const sessionOptions: unknown = Reflect.get(server, http2Options);
  if (typeof original !== "function" || typeof sessionOptions !== "object" || sessionOptions === null) {
    throw new TypeError("grpc-js has changed: its streams cannot be guarded");
  }
  // grpc-js has no options for these.
  Object.assign(sessionOptions, sessionLimits);
  Reflect.set(
    server,
    streamHandler,
    (interceptors: unknown, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      if (stream.destroyed) {
        // Its error is yet to come.
        stream.on("error", () => {});
      } else if (!takes(stream, headers)) {
        Reflect.apply(original, server, [interceptors, stream, headers]);
      }
    },
  );
  return server;
}
