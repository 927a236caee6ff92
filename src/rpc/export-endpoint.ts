import type { IncomingMessage, ServerResponse } from "node:http";
import type { ConnectError } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import type { AccessGuard, Caller } from "../access/access-guard.ts";
import { requireScope } from "../access/access-guard.ts";
import { NotAdmittedError } from "../access/errors.ts";
import type { ExportHandler } from "../export/http.ts";
import type { AuditLogger } from "../telemetry/logger.ts";
import { onBehalfOf } from "../telemetry/request-context.ts";
import { writeAudit } from "./audit.ts";
import { toConnectError } from "./error-table.ts";
import { REQUEST_ID_HEADER, requestIdOf } from "./request-id.ts";

/** What the endpoint stands on. */
export interface ExportEndpointOptions {
  readonly guard: AccessGuard;
  readonly answer: ExportHandler;
  readonly logger: AuditLogger;
}

const PROCEDURE = "GET /export.parquet";
const HTTP_STATUS: Partial<Record<Code, number>> = {
  [Code.Unauthenticated]: 401,
  [Code.PermissionDenied]: 403,
  [Code.ResourceExhausted]: 429,
};

/** `GET /export.parquet` for callers who may export: the same rule of access, rate and audit as the Export RPC. */
export function createExportEndpoint({
  guard,
  answer,
  logger,
}: ExportEndpointOptions): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    const requestId = requestIdOf(request.headers[REQUEST_ID_HEADER]?.toString() ?? null);
    const address = request.socket.remoteAddress ?? "unknown";
    response.setHeader(REQUEST_ID_HEADER, requestId);
    let caller: Caller | undefined;
    const audit = (code: Code | undefined): void =>
      writeAudit(logger, { action: "Export", caller: caller?.name ?? address, requestId, code });
    try {
      caller = guard.admit(request.headers.authorization, address);
      requireScope(caller, "export");
    } catch (error) {
      const told = toConnectError(error, { requestId, procedure: PROCEDURE, logger });
      if (!(error instanceof NotAdmittedError)) {
        audit(told.code);
      }
      refuse(response, told);
      return;
    }
    response.once("close", () => audit(endOf(response)));
    const { name } = caller;
    await onBehalfOf(requestId, () => answer(request, response, name));
  };
}

function endOf(response: ServerResponse): Code | undefined {
  if (!response.writableFinished) {
    return Code.Canceled;
  }
  return response.statusCode < 400 ? undefined : Code.Unknown;
}

function refuse(response: ServerResponse, told: ConnectError): void {
  for (const [name, value] of told.metadata) {
    response.setHeader(name, value);
  }
  const status = HTTP_STATUS[told.code] ?? 500;
  if (status === 401) {
    response.setHeader("www-authenticate", "Bearer");
  }
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
  response.end(`${told.rawMessage}\n`);
}
