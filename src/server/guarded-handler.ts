import type { IncomingMessage, ServerResponse } from "node:http";
import { Code } from "@connectrpc/connect";
import type { AccessGuard, Caller } from "../access/access-guard.ts";
import { requireScope } from "../access/access-guard.ts";
import { NotAdmittedError } from "../access/errors.ts";
import type { Scope } from "../access/scope.ts";
import { writeAudit } from "../rpc/audit.ts";
import { toConnectError } from "../rpc/error-table.ts";
import { requestIdOf } from "../rpc/request-id.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { HttpHandler } from "./http-routes.ts";
import { sendText } from "./http-routes.ts";

export interface GuardedOptions {
  readonly guard: AccessGuard;
  readonly scope: Scope;
  /** What the audit calls it, such as `Export`. */
  readonly action: string;
  readonly logger: Logger;
}

const STATUS: Partial<Record<Code, number>> = {
  [Code.Unauthenticated]: 401,
  [Code.PermissionDenied]: 403,
  [Code.ResourceExhausted]: 429,
};

/**
 * Puts before a plain HTTP handler what the interceptors put before RPCs: token, scope, rate and audit. Who is refused
 * gets 401, 403 or 429 and one line of text.
 */
export function guarded(
  { guard, scope, action, logger }: GuardedOptions,
  handler: (request: IncomingMessage, response: ServerResponse, caller: Caller) => void | Promise<void>,
): HttpHandler {
  return async (request, response) => {
    const given = request.headers["x-request-id"];
    const requestId = requestIdOf(new Headers(typeof given === "string" ? { "x-request-id": given } : {}));
    const address = request.socket.remoteAddress ?? "unknown";
    response.setHeader("x-request-id", requestId);
    let caller: Caller | undefined;
    const audit = (code: Code | undefined): void => {
      writeAudit(logger, { action, caller: caller?.name ?? address, requestId, code });
    };
    try {
      caller = guard.admit(request.headers.authorization, address);
      requireScope(caller, scope);
    } catch (error) {
      const told = toConnectError(error, { procedure: action, requestId, logger });
      if (!(error instanceof NotAdmittedError)) {
        audit(told.code);
      }
      sendText(response, STATUS[told.code] ?? 500, told.rawMessage, Object.fromEntries(told.metadata));
      return;
    }
    response.once("close", () => audit(endOf(response)));
    await handler(request, response, caller);
  };
}

function endOf(response: ServerResponse): Code | undefined {
  if (!response.writableFinished) {
    return Code.Canceled;
  }
  return response.statusCode < 400 ? undefined : Code.Unknown;
}
