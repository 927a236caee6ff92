import { type OutgoingHttpHeaders, sensitiveHeaders } from "node:http2";

import { REQUEST_ID_HEADER } from "../rpc/request-id.ts";

/**
 * Adds a request's id to the headers of its answer over HTTP/2.
 *
 * The id stays out of the connection's table of headers: no later answer has the same one, and each would be compared
 * with all that are in the table.
 *
 * @param headers names and values in turn, or by name; these may have the id already
 * @param always replaces headers by name
 */
export function withRequestId(
  headers: OutgoingHttpHeaders | readonly string[],
  requestId: string,
  always: OutgoingHttpHeaders = {},
): OutgoingHttpHeaders | readonly string[] {
  const unlisted = { [sensitiveHeaders]: [REQUEST_ID_HEADER] };
  return isList(headers)
    ? Object.assign([...headers, REQUEST_ID_HEADER, requestId], unlisted)
    : { [REQUEST_ID_HEADER]: requestId, ...headers, ...always, ...unlisted };
}

function isList(headers: OutgoingHttpHeaders | readonly string[]): headers is readonly string[] {
  return Array.isArray(headers);
}
