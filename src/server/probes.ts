import type { IncomingMessage, ServerResponse } from "node:http";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Answers 200 as long as the process can answer at all. */
export const answerHealthz: Handler = (_request, response) => answer(response, 200, "ok");

/**
 * Answers 200 when the service takes calls, else 503 with the reason. What vPIC does has no part in it.
 *
 * @param findObstacle says why no calls should be sent here, or undefined.
 */
export function createReadyzHandler(findObstacle: () => string | undefined): Handler {
  return (_request, response) => {
    const obstacle = findObstacle();
    answer(response, obstacle === undefined ? 200 : 503, obstacle ?? "ready");
  };
}

function answer(response: ServerResponse, status: number, line: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" });
  response.end(`${line}\n`);
}
