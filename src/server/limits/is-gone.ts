import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";

/** Whether nobody waits for the answer any more, be it that it was sent or that the client has left. */
export function isGone(response: ServerResponse | Http2ServerResponse): boolean {
  return "stream" in response ? response.stream.destroyed : response.destroyed;
}
