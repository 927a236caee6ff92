import type { ServerResponse } from "node:http";
import { constants, type Http2ServerResponse } from "node:http2";

/**
 * Ends a response that is not complete, in a way that its client can tell: over HTTP/2, destroying alone would end the
 * stream without an error.
 */
export function cutOff(response: ServerResponse | Http2ServerResponse): void {
  if ("stream" in response) {
    response.stream.close(constants.NGHTTP2_CANCEL);
  }
  response.destroy();
}
