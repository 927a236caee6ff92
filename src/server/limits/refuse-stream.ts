import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";

import type { status } from "@grpc/grpc-js";

/**
 * Answers a request of HTTP/2 that is not looked at any further.
 *
 * @param headers names and values in turn, or by name
 * @param body a byte in each character
 */
export function refuseStream(
  stream: ServerHttp2Stream,
  headers: OutgoingHttpHeaders | readonly string[],
  body = "",
): void {
  stream.on("error", () => {});
  // The request is not wanted any more. Nearly all have ended by then; the others are not waited for.
  const close = (): void => {
    if (!stream.closed) {
      stream.close(constants.NGHTTP2_NO_ERROR);
    }
  };
  stream.respond(headers, { endStream: body === "" });
  if (body === "") {
    setImmediate(close);
  } else {
    // Closed earlier, it would look as if it were over while its client takes none of it.
    stream.end(body, "latin1", close);
  }
  stream.resume();
}

/**
 * Answers a gRPC call with a status alone, for those who are refused before grpc-js knows of them.
 *
 * @param headers further ones, names and values in turn
 */
export function refuseCall(
  stream: ServerHttp2Stream,
  code: status,
  message: string,
  headers: readonly string[] = [],
): void {
  refuseStream(stream, [
    ":status",
    "200",
    "content-type",
    "application/grpc",
    "grpc-status",
    String(code),
    "grpc-message",
    encodeURIComponent(message),
    ...headers,
  ]);
}
