import type { ServerResponse } from "node:http";
import { constants, type Http2ServerResponse, type ServerHttp2Stream } from "node:http2";

/**
 * Ends an answer at once: over HTTP/2 its stream is reset, over HTTP/1.1 the connection is closed. Destroying alone would
 * end a stream without an error, as if what the client has were all. Nothing waits until the reset gets away.
 */
export function cutAnswer(answer: ServerHttp2Stream | Http2ServerResponse | ServerResponse): void {
  const stream = "session" in answer ? answer : "stream" in answer ? answer.stream : undefined;
  if (stream?.closed === false) {
    stream.close(stream.writableFinished ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL);
  }
  answer.destroy();
}
