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
 * Answers what is no HTTP/1.1, has too many headers or does not arrive, and ends its connection, as Node would do by
 * itself; but with a request id, which the log has too.
 */
export function answerBrokenRequests(server: NetServer, logger: Logger): void {
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    if (socket.writable && !hasBegunToAnswer(socket)) {
      const requestId = requestIdOf(null);
      const status = STATUS[error.code ?? ""] ?? "400 Bad Request";
      logger.debug("a request could not be read", { requestId, status, code: error.code });
      socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\n${REQUEST_ID_HEADER}: ${requestId}\r\n\r\n`);
    }
    socket.destroy();
  });
}

/** Then more of an answer would be taken for a part of that one. */
function hasBegunToAnswer(socket: Socket): boolean {
  const answer: unknown = Reflect.get(socket, ANSWER);
  return typeof answer === "object" && answer !== null && Reflect.get(answer, "headersSent") === true;
}
