import { once } from "node:events";
import type { IncomingHttpHeaders } from "node:http";
import { IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";

/** The answer to a plain request. */
export interface PlainAnswer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Sends a request over HTTP/1.1 with headers that `fetch` does not let programs set, as browsers do. */
export async function plainRequest(
  address: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body = "",
): Promise<PlainAnswer> {
  const sent = request(`http://${address}${path}`, { method, headers, agent: false }).end(body);
  const [response]: unknown[] = await once(sent, "response");
  if (!(response instanceof IncomingMessage)) {
    throw new TypeError("no response");
  }
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}
