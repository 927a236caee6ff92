import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";

import { REQUEST_ID_HEADER, requestIdOf } from "../../rpc/request-id.ts";
import { withRequestId } from "../named-headers.ts";

/**
 * Gives a request an id, in its own header for those who come after, and in the headers of whatever answers it: grpc-js
 * answers much by itself (unknown methods, malformed messages, deadlines), and has no place where that could be added.
 */
export function nameAnswers(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const requestId = requestIdOf(headers[REQUEST_ID_HEADER]?.toString() ?? null);
  headers[REQUEST_ID_HEADER] = requestId;
  const respond = stream.respond.bind(stream);
  stream.respond = (answer = {}, options) => {
    respond(withRequestId(answer, requestId), options);
  };
}
