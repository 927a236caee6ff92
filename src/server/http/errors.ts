import { ConnectError, type Interceptor } from "@connectrpc/connect";

import { catching } from "../../rpc/catching.ts";
import { toConnectError } from "../../rpc/error-table.ts";
import { REQUEST_ID_HEADER, requestIdOf } from "../../rpc/request-id.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { methodName } from "../limits/call-limits.ts";

/**
 * The outermost interceptor on HTTP: what leaves it is a ConnectError, and anything unexpected has been logged. Connect
 * itself would hide such errors from the caller, and from everyone else.
 */
export function reportUnexpected(logger: Logger): Interceptor {
  return (next) => async (request) => {
    const fail = (error: unknown): never => {
      const requestId = requestIdOf(request.header.get(REQUEST_ID_HEADER));
      throw wellFormed(toConnectError(error, { requestId, procedure: methodName(request.method), logger }));
    };
    const response = await next(request).catch(fail);
    return response.stream ? { ...response, message: catching(response.message, fail) } : response;
  };
}

/** gRPC-Web's encoding of messages throws on lone surrogates. */
function wellFormed(error: ConnectError): ConnectError {
  if (error.rawMessage.isWellFormed()) {
    return error;
  }
  const replacement = new ConnectError(error.rawMessage.toWellFormed(), error.code, error.metadata);
  replacement.details = error.details;
  return replacement;
}
