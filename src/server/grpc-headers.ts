import type { OutgoingHttpHeaders } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";

export const CONTENT_TYPE = "application/grpc+proto";
/** The trailers of a call that succeeds. */
export const OK: OutgoingHttpHeaders = { "grpc-status": "0" };
/** Headers that belong to HTTP/2 or gRPC. A handler that sets one of them would break the answer. */
export const RESERVED_HEADER =
  /^(:|grpc-(?!status-details-bin$|retry-pushback-ms$)|(connection|content-length|content-type|host|http2-settings|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade)$)/;

/** Headers that a handler has set; undefined when it has set none. */
export function toHttp2Headers(headers: Headers | undefined): OutgoingHttpHeaders | undefined {
  if (headers === undefined) {
    return undefined;
  }
  const outgoing: OutgoingHttpHeaders = {};
  for (const [name, value] of headers) {
    if (!RESERVED_HEADER.test(name)) {
      outgoing[name] = value;
    }
  }
  return outgoing;
}

/** The trailers of a failed call. */
export function toTrailers(error: ConnectError): OutgoingHttpHeaders {
  const trailers = setTrailerStatus(new Headers(), error);
  return {
    ...toHttp2Headers(trailers),
    "grpc-status": String(error.code),
    // Not encodeURIComponent, because users of grpc-js would see "%3A" instead of a colon.
    "grpc-message": encodeURI(error.rawMessage),
  };
}

const preparedTrailers = new WeakMap<ConnectError, OutgoingHttpHeaders>();

/** The trailers of a prepared refusal. They are created once. */
export function toPreparedTrailers(error: ConnectError): OutgoingHttpHeaders {
  const known = preparedTrailers.get(error) ?? toTrailers(error);
  preparedTrailers.set(error, known);
  return known;
}
