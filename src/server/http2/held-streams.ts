import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Http2SecureServer, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";

/**
 * Sees a new stream.
 *
 * @param rawHeaders names and values in turn, repeated ones too
 * @param serve makes a request and a response of the stream, and hands them on at once. To be called at once, if at all:
 * a request without a body is never seen to end otherwise
 */
export type StreamListener = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  serve: (handOn: RequestListener) => void,
) => void;

/**
 * Has streams seen before Node makes requests and responses of them, which costs more than it costs to refuse one.
 *
 * @throws {TypeError} when Node makes them otherwise than by a listener for `stream`
 */
export function holdStreams(server: Http2SecureServer, onStream: StreamListener): void {
  let receive: RequestListener | undefined;
  // By this Node knows that it is to make any. Those of HTTP/1.1 come here, too, but not while a stream is served.
  server.on("request", (request: IncomingMessage, response: ServerResponse) => receive?.(request, response));
  const [makeRequest, ...others] = server.listeners("stream");
  if (makeRequest === undefined || others.length > 0) {
    throw new TypeError("Node has changed: its streams cannot be held");
  }
  server.removeAllListeners("stream");
  server.on(
    "stream",
    (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: readonly string[]) => {
      onStream(stream, headers, rawHeaders, (handOn) => {
        receive = handOn;
        Reflect.apply(makeRequest, server, [stream, headers, flags, rawHeaders]);
        receive = undefined;
      });
    },
  );
}
