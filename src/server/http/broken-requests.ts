import { type IncomingMessage, ServerResponse } from "node:http";
import type { Server as NetServer, Socket } from "node:net";

import { REQUEST_ID_HEADER, requestIdOf } from "../../rpc/request-id.ts";
import type { Logger } from "../../telemetry/logger.ts";

/** Where Node keeps the answer that a connection waits for. */
const ANSWER = "_httpMessage";

const STATUS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Payload Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/**
 * Answers what Node would answer by itself, but with a request id: what is no HTTP/1.1, has too many headers or does not
 * arrive, whose connection ends, and what expects something unknown. Of the former, the log has a line under the same id,
 * which is that of the request that is broken, if it is known by then.
 */
export function answerBrokenRequests(server: NetServer, logger: Logger): void {
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    const answer: unknown = Reflect.get(socket, ANSWER);
    const waiting = answer instanceof ServerResponse ? answer : undefined;
    // What follows the beginning of an answer would be taken for a part of it.
    if (socket.writable && waiting?.headersSent !== true) {
      const requestId = requestIdOf(waiting?.getHeader(REQUEST_ID_HEADER)?.toString() ?? null);
      const status = STATUS[error.code ?? ""] ?? "400 Bad Request";
      logger.debug("a request could not be read", { requestId, status, code: error.code });
      socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\n${REQUEST_ID_HEADER}: ${requestId}\r\n\r\n`);
    }
    socket.destroy();
  });
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    if (request.httpVersionMajor === 1) {
      // Whether a body follows is not known.
      response.setHeader("connection", "close");
    }
    response.setHeader(REQUEST_ID_HEADER, requestIdOf(request.headers[REQUEST_ID_HEADER]?.toString() ?? null));
    response.statusCode = 417;
    response.end();
  });
}
