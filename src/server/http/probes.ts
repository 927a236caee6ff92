import type { IncomingMessage, ServerResponse } from "node:http";
import type { Metrics } from "../../telemetry/metrics.ts";
import { recent } from "./recent.ts";
import type { HttpHandler } from "./routes.ts";

/** Everyone may ask, as often as they like. */
const SHARED_MS = 100;

/** Answers 200 as long as the process can answer at all. */
export function answerHealthz(_request: IncomingMessage, response: ServerResponse): void {
  answer(response, 200, "ok");
}

/**
 * Answers 503 while the service stops, else 200. Neither vPIC nor the cache has a part in it: lookups are answered
 * without either, and taking every replica out because their common database is away would end them all.
 *
 * @param findRemark says what does not work at the moment, for people who look.
 */
export function createReadyzHandler(
  isStopping: () => boolean,
  findRemark: () => Promise<string | undefined>,
): HttpHandler {
  const remarkOf = recent(SHARED_MS, findRemark);
  return async (_request, response) => {
    if (isStopping()) {
      answer(response, 503, "stopping");
      return;
    }
    const remark = await remarkOf();
    answer(response, 200, remark === undefined ? "ready" : `ready; ${remark}`);
  };
}

/** Answers with the metrics as they are now, or were a tenth of a second ago. */
export function createMetricsHandler(metrics: Metrics): HttpHandler {
  const render = recent(SHARED_MS, () => metrics.render());
  return async (_request, response) => {
    const text = await render();
    response.writeHead(200, { "content-type": metrics.contentType, "cache-control": "no-store" });
    response.end(text);
  };
}

function answer(response: ServerResponse, status: number, line: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" });
  response.end(`${line}\n`);
}
