import type { IncomingMessage, ServerResponse } from "node:http";

import { sendText } from "./routes.ts";

type RequestListener = (request: IncomingMessage, response: ServerResponse) => void;

/** What load balancers ask for under whatever name; it tells nothing and changes nothing. */
const FOR_ALL_HOSTS = new Set(["/healthz", "/readyz"]);

/**
 * Wraps a listener so that it answers only requests that are for its own hosts. A page whose host name was made to
 * point here (DNS rebinding) is of the service's own origin to its browser, and has nothing foreign but this name.
 *
 * @param isOwnHost told the host of a request, without port, in lower case; IPv6 addresses without brackets. Without it,
 *   all hosts are own ones.
 */
export function withOwnHosts(
  isOwnHost: ((host: string) => boolean) | undefined,
  listener: RequestListener,
): RequestListener {
  if (isOwnHost === undefined) {
    return listener;
  }
  return (request, response) => {
    const host = request.headers[":authority"]?.toString() ?? request.headers.host;
    const url = host === undefined ? null : URL.parse(`http://${host}`);
    const path = request.url?.replace(/\?.*/s, "") ?? "";
    // A Host header that is none, or missing, is for the listener to refuse.
    if (url === null || isOwnHost(url.hostname.replaceAll(/[[\]]/g, "")) || FOR_ALL_HOSTS.has(path)) {
      listener(request, response);
      return;
    }
    sendText(
      response,
      421,
      "Without tokens and TLS, this service answers under the names of loopback only, such as localhost and 127.0.0.1; " +
        "ALLOW_ANONYMOUS=true lets it answer under any.",
    );
  };
}
