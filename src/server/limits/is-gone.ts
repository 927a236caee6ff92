import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";

/** Whether nobody waits for the answer any more, be it that it was sent or that the client has left. */
export function isGone(response: ServerResponse | Http2ServerResponse): boolean {
  if ("stream" in response) {
    return response.stream.destroyed;
  }
  // A write that fails is heard of before the connection counts as destroyed.
  const { socket } = response.req;
  return response.destroyed || socket.destroyed || socket.errored !== null;
}
