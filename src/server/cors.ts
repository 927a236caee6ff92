import type { IncomingHttpHeaders } from "node:http";
import { cors } from "@connectrpc/connect";
import type { Exchange } from "./exchange.ts";
import { answerText } from "./exchange.ts";

/** The origins whose scripts may use the service from a browser: a list, or all. */
export type AllowedOrigins = readonly string[] | "*";

const ALLOWED_METHODS = cors.allowedMethods.join(", ");
const ALLOWED_HEADERS = [...cors.allowedHeaders, "Authorization", "X-Request-Id"].join(", ");
/** Unary Connect answers send trailers as headers with the prefix `trailer-`. */
const EXPOSED_HEADERS = [
  ...cors.exposedHeaders,
  "X-Request-Id",
  "Retry-After",
  "Grpc-Retry-Pushback-Ms",
  "WWW-Authenticate",
].join(", ");
const PREFLIGHT_MAX_AGE_S = "7200";
/** Paths that pages of any origin may request and link to. They change nothing and cost almost nothing. */
const FOR_ALL_ORIGINS = new Set(["/", "/healthz", "/metrics", "/readyz"]);

/**
 * Parses CORS_ORIGINS: origins such as `https://app.example.com`, separated by commas; `*` for all; empty for none.
 *
 * @throws Error when an origin is not valid. The message says what is expected.
 */
export function parseOrigins(text: string): AllowedOrigins {
  const words = text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
  if (words.length === 1 && words[0] === "*") {
    return "*";
  }
  if (!words.every(isOrigin)) {
    throw new Error(
      "expected origins such as https://app.example.com or http://localhost:5173, separated by commas and with nothing " +
        "after the port, or * for all",
    );
  }
  return words;
}

function isOrigin(word: string): boolean {
  const url = URL.parse(word);
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === word;
}

/**
 * Decides which pages may call the service from a browser. The service's own page and pages of the allowed origins may
 * call and read answers. Answers to other origins have no CORS headers, so browsers hide them from scripts. Requests
 * from other origins are refused when they could change something or cost much. This includes links to an export,
 * because any page can make its readers follow a link. Requests from outside a browser are allowed.
 */
export class Cors {
  readonly #origins: AllowedOrigins;
  readonly #named: ReadonlySet<string>;

  constructor(origins: AllowedOrigins) {
    this.#origins = origins;
    this.#named = new Set(origins === "*" ? [] : origins);
  }

  /** Adds the CORS headers to the answer and returns true; returns false when it has answered the request itself. */
  admits(exchange: Exchange): boolean {
    const { method, headers, extraHeaders } = exchange;
    const { origin } = headers;
    if (this.#named.size > 0) {
      // Set even if the request has no origin, because caches must not reuse the answer for a request that has one.
      extraHeaders["vary"] = "origin";
    }
    if (origin !== undefined && (this.#origins === "*" || this.#named.has(origin))) {
      extraHeaders["access-control-allow-origin"] = this.#origins === "*" ? "*" : origin;
      extraHeaders["access-control-expose-headers"] = EXPOSED_HEADERS;
      if (method === "OPTIONS" && headers["access-control-request-method"] !== undefined) {
        exchange.writeHead(204, {
          "access-control-allow-methods": ALLOWED_METHODS,
          "access-control-allow-headers": ALLOWED_HEADERS,
          "access-control-max-age": PREFLIGHT_MAX_AGE_S,
        });
        exchange.response.end();
        exchange.discardRest();
        return false;
      }
    } else if (this.#origins !== "*" && isForeign(headers) && !isForAll(exchange)) {
      answerText(
        exchange,
        403,
        "Pages of other origins may not call this service or link to its data. CORS_ORIGINS names those that may.",
      );
      return false;
    }
    return true;
  }
}

function isForAll({ method, path }: Exchange): boolean {
  // OPTIONS is harmless, because an answer without CORS headers allows nothing.
  return method === "OPTIONS" || ((method === "GET" || method === "HEAD") && FOR_ALL_ORIGINS.has(path));
}

/** Whether a browser sends the request on behalf of a page of another origin. Scripts cannot set either header. */
function isForeign(headers: IncomingHttpHeaders): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== undefined) {
    return site !== "same-origin" && site !== "none";
  }
  // For old browsers and pages served without TLS. Only hosts are compared, because a proxy may change the scheme.
  const { origin } = headers;
  return origin !== undefined && URL.parse(origin)?.host !== (headers.host ?? headers[":authority"]);
}
