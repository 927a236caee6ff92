import type { IncomingMessage, ServerResponse } from "node:http";

/** Answers one plain HTTP request. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Plain HTTP routes by method and path, such as `GET /healthz`. GET routes answer HEAD too. */
export type HttpHandlers = Readonly<Record<`${"GET" | "POST"} /${string}`, HttpHandler>>;

/** What a path accepts. */
type HttpRoutes = ReadonlyMap<string, ReadonlyMap<string, HttpHandler>>;

/** The table as it is looked up: by path, then by method. */
export function toRoutes(handlers: HttpHandlers): HttpRoutes {
  const routes = new Map<string, Map<string, HttpHandler>>();
  for (const [route, handler] of Object.entries(handlers)) {
    const [method = "", path = ""] = route.split(" ");
    const methods = routes.get(path) ?? new Map<string, HttpHandler>();
    methods.set(method, handler);
    if (method === "GET") {
      methods.set("HEAD", handler);
    }
    routes.set(path, methods);
  }
  return routes;
}

/** Answers with one line of text. */
export function sendText(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...headers });
  response.end(`${text}\n`);
}
