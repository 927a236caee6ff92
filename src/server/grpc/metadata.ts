import { Metadata } from "@grpc/grpc-js";

/** Names that belong to HTTP/2 and gRPC themselves: a handler that sets them would break the response. */
const reserved = new Set([
  "connection",
  "content-length",
  "content-type",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
const RESERVED_PREFIX = /^grpc-(?!status-details-bin$)/;
const LEGAL_KEY = /^[0-9a-z_.-]+$/;
const LEGAL_VALUE = /^[ -~]*$/;

/** Request metadata as headers; the values of names that end in `-bin` become base64 again, as Connect has them. */
export function toHeaders(metadata: Metadata): Headers {
  const headers = new Headers();
  for (const [key, values] of Object.entries(metadata.toHttp2Headers())) {
    for (const value of Array.isArray(values) ? values : [values]) {
      headers.append(key, String(value));
    }
  }
  return headers;
}

/**
 * Response headers or trailers as metadata, undefined when there are none. What HTTP/2 or gRPC reserve, or cannot
 * carry, is left out.
 */
export function toMetadata(headers: Headers): Metadata | undefined {
  let metadata: Metadata | undefined;
  for (const [key, value] of headers) {
    if (reserved.has(key) || RESERVED_PREFIX.test(key) || !LEGAL_KEY.test(key)) {
      continue;
    }
    metadata ??= new Metadata();
    if (key.endsWith("-bin")) {
      for (const part of value.split(",")) {
        metadata.add(key, Buffer.from(part, "base64"));
      }
    } else if (LEGAL_VALUE.test(value)) {
      metadata.add(key, value);
    }
  }
  return metadata;
}
