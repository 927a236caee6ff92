import type { IncomingHttpHeaders } from "node:http";
import { cors } from "@connectrpc/connect";

/** Whose scripts may use the service from a browser: a list of origins, or everyone's. */
export type AllowedOrigins = readonly string[] | "*";

/** What is looked at of a request, over HTTP/1.1 or HTTP/2. */
interface CorsRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/** What is done to a response, over HTTP/1.1 or HTTP/2. */
interface CorsResponse {
  setHeader(name: string, value: string): unknown;
  writeHead(status: number): unknown;
  end(text?: string): unknown;
}

const ALLOWED_METHODS = cors.allowedMethods.join(", ");
const ALLOWED_HEADERS = [...cors.allowedHeaders, "Authorization", "X-Request-Id"].join(", ");
/** Trailers of unary Connect answers come as headers with a prefix. */
const EXPOSED_HEADERS = [...cors.exposedHeaders, "X-Request-Id", "Retry-After", "WWW-Authenticate"].join(", ");
const PREFLIGHT_MAX_AGE_S = "7200";
/** What pages of any origin may ask for and link to: it changes nothing, and costs next to nothing. */
const FOR_ALL_ORIGINS = new Set(["/", "/healthz", "/metrics", "/readyz"]);

/**
 * Reads CORS_ORIGINS: origins such as `https://app.example.com`, separated by commas; `*` for all; empty for none.
 *
 * @throws Error whose message says what is allowed
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
      "allowed are origins, such as https://app.example.com or http://localhost:5173, with commas between and nothing " +
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
 * Wraps a listener of node:http or node:http2. Scripts of the allowed origins may call and read answers; to all other
 * origins but the service's own, answers say nothing of CORS, so that browsers keep them from scripts, and what could
 * change something or cost much is refused: an export also when somebody follows a link to it, since any page can make
 * its readers do so. Requests from outside a browser pass.
 */
export function withCors<Request extends CorsRequest, Response extends CorsResponse>(
  origins: AllowedOrigins,
  listener: (request: Request, response: Response) => void,
): (request: Request, response: Response) => void {
  const named = new Set(origins === "*" ? [] : origins);
  return (request, response) => {
    const { method = "", headers } = request;
    const { origin } = headers;
    if (named.size > 0) {
      // Also for those without an origin: caches must not give their answers to others.
      response.setHeader("vary", "origin");
    }
    if (origin !== undefined && (origins === "*" || named.has(origin))) {
      response.setHeader("access-control-allow-origin", origins === "*" ? "*" : origin);
      response.setHeader("access-control-expose-headers", EXPOSED_HEADERS);
      if (method === "OPTIONS" && headers["access-control-request-method"] !== undefined) {
        response.setHeader("access-control-allow-methods", ALLOWED_METHODS);
        response.setHeader("access-control-allow-headers", ALLOWED_HEADERS);
        response.setHeader("access-control-max-age", PREFLIGHT_MAX_AGE_S);
        response.writeHead(204);
        response.end();
        return;
      }
    } else if (origins !== "*" && isForeign(headers) && !isForAll(request)) {
      response.setHeader("content-type", "text/plain; charset=utf-8");
      response.writeHead(403);
      response.end(
        "Pages of other origins may not call this service or link to its data; CORS_ORIGINS names those that may call.\n",
      );
      return;
    }
    listener(request, response);
  };
}

function isForAll({ method = "", url = "" }: CorsRequest): boolean {
  const isRead = method === "GET" || method === "HEAD";
  // Without a grant, an answer to OPTIONS allows nothing.
  return method === "OPTIONS" || (isRead && FOR_ALL_ORIGINS.has(url.replace(/\?.*/s, "")));
}

/** Whether a browser sends the request for a page of another origin. No script can change either header. */
function isForeign(headers: IncomingHttpHeaders): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== undefined) {
    return site !== "same-origin" && site !== "none";
  }
  // Old browsers, and pages served without TLS. The scheme may change at a proxy, so the host tells.
  const { origin } = headers;
  return origin !== undefined && URL.parse(origin)?.host !== (headers.host ?? headers[":authority"]);
}
