import type { Http2SecureServer, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";

/**
 * Sees a new stream.
 *
 * @param rawHeaders names and values in turn, repeated ones too
 * @param begin has Node make a request and a response of the stream, and emit `request`
 */
export type StreamListener = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  begin: () => void,
) => void;

/**
 * Has streams seen before Node makes requests and responses of them, which costs more than it costs to refuse one.
 *
 * @param server has a listener for `request`, by which Node knows that it is to make any
 * @throws {TypeError} when Node does that otherwise than by a listener for `stream`
 */
export function holdStreams(server: Http2SecureServer, receive: StreamListener): void {
  const [serve, ...others] = server.listeners("stream");
  if (serve === undefined || others.length > 0) {
    throw new TypeError("Node has changed: its streams cannot be held");
  }
  server.removeAllListeners("stream");
  server.on(
    "stream",
    (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: readonly string[]) => {
      receive(stream, headers, rawHeaders, () => Reflect.apply(serve, server, [stream, headers, flags, rawHeaders]));
    },
  );
}
