import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";

import { REQUEST_ID_HEADER, requestIdOf } from "../../rpc/request-id.ts";
import { withRequestId } from "../named-headers.ts";

/**
 * Gives a request an id, in its own header for those who come after, and in the headers of whatever answers it: grpc-js
 * answers much by itself (unknown methods, malformed messages, deadlines), and has no place where that could be added.
 *
 * @param always replaces what answers by name say of the same; those that are lists are our own
 */
export function nameAnswers(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  always: OutgoingHttpHeaders = {},
): void {
  const requestId = requestIdOf(headers[REQUEST_ID_HEADER]?.toString() ?? null);
  headers[REQUEST_ID_HEADER] = requestId;
  const respond = stream.respond.bind(stream);
  stream.respond = (answer = {}, options) => {
    respond(withRequestId(answer, requestId, always), options);
  };
}
