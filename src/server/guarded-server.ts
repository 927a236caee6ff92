import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";

import { Server, type ServerOptions } from "@grpc/grpc-js";

/** What grpc-js calls for every new stream of a connection. */
const streamHandler = "_streamHandler";

/** Where grpc-js keeps what it gives to node:http2. */
const http2Options = "commonServerOptions";

/**
 * What grpc-js has no options for. The size of headers and the number of streams bind a client only once it has
 * acknowledged them; until then, calls with as many headers as Node allows (128), each naming a header of 3,000 bytes
 * that HPACK remembers, took 280 MB and half a second. These two hold from the start.
 */
const sessionLimits = { maxHeaderListPairs: 48, maxSessionInvalidFrames: 100 };

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
