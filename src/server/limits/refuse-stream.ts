import { constants, type ServerHttp2Stream } from "node:http2";

import type { status } from "@grpc/grpc-js";

/** Answers a gRPC call with nothing but headers: names and values in turn. */
export function refuseStream(stream: ServerHttp2Stream, headers: readonly string[]): void {
  stream.on("error", () => {});
  stream.respond(headers, { endStream: true });
  // The request is not wanted any more. Nearly all have ended by then; the others are not waited for.
  stream.resume();
  setImmediate(() => {
    if (!stream.closed) {
      stream.close(constants.NGHTTP2_NO_ERROR);
    }
  });
}

/** Answers a gRPC call with a status alone, for those who are refused before grpc-js knows of them. */
export function refuseCall(stream: ServerHttp2Stream, code: status, message: string): void {
  refuseStream(stream, [
    ":status",
    "200",
    "content-type",
    "application/grpc",
    "grpc-status",
    String(code),
    "grpc-message",
    encodeURIComponent(message),
  ]);
}
