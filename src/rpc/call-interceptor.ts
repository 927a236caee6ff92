import type { ContextValues, Interceptor, StreamResponse, UnaryResponse } from "@connectrpc/connect";
import { Code, createContextKey } from "@connectrpc/connect";
import type { Logger } from "../telemetry/logger.ts";
import { eachOnBehalfOf, onBehalfOf } from "../telemetry/request-context.ts";
import { callerKey } from "./caller.ts";
import { catching } from "./catching.ts";
import type { ErrorContext } from "./error-table.ts";
import { toConnectError } from "./error-table.ts";
import { REQUEST_ID_HEADER, requestIdOf } from "./request-id.ts";
import { watchEnd } from "./watch-end.ts";

/** The id of the running request. */
export const requestIdKey = createContextKey<string>("", { description: "request id" });

interface Call extends ErrorContext {
  readonly startedAt: number;
  readonly values: ContextValues;
}

/**
 * The outermost interceptor: gives every call an id, tells its caller of errors by the error table, and logs its true
 * end, which for a stream is the end of its last message. What is logged meanwhile has the id too.
 */
export function createCallInterceptor(logger: Logger): Interceptor {
  return (next) => async (request) => {
    const call: Call = {
      procedure: `${request.service.typeName}/${request.method.name}`,
      requestId: requestIdOf(request.header.get(REQUEST_ID_HEADER)),
      logger,
      startedAt: performance.now(),
      values: request.contextValues,
    };
    request.contextValues.set(requestIdKey, call.requestId);
    let response: UnaryResponse | StreamResponse;
    try {
      response = await onBehalfOf(call.requestId, () => next(request));
    } catch (error) {
      const told = toConnectError(error, call);
      logEnd(call, told.code);
      throw told;
    }
    if (response.stream) {
      const messages = catching(eachOnBehalfOf(call.requestId, response.message), (error) => {
        throw toConnectError(error, call);
      });
      return { ...response, message: watchEnd(messages, (code) => logEnd(call, code)) };
    }
    logEnd(call, undefined);
    return response;
  };
}

/** @param code undefined when all is well */
function logEnd(call: Call, code: Code | undefined): void {
  call.logger.debug("call ended", {
    procedure: call.procedure,
    requestId: call.requestId,
    caller: call.values.get(callerKey),
    code: code === undefined ? "ok" : Code[code],
    durationMs: performance.now() - call.startedAt,
  });
}
