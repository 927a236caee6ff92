import type { ConnectError, ContextValues, Interceptor, StreamResponse, UnaryResponse } from "@connectrpc/connect";
import { Code, createContextKey } from "@connectrpc/connect";
import type { Logger } from "../telemetry/logger.ts";
import { onBehalfOf } from "../telemetry/request-context.ts";
import { callerKey } from "./caller.ts";
import type { ErrorContext } from "./error-table.ts";
import { toConnectError } from "./error-table.ts";
import { REQUEST_ID_HEADER, requestIdOf } from "./request-id.ts";

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
      throw fail(error, call);
    }
    if (response.stream) {
      return { ...response, message: observe(readOnBehalfOf(call.requestId, response.message), call) };
    }
    logEnd(call, "ok");
    return response;
  };
}

async function* observe<T>(messages: AsyncIterable<T>, call: Call): AsyncIterable<T> {
  let outcome = "canceled";
  try {
    yield* messages;
    outcome = "ok";
  } catch (error) {
    outcome = "";
    throw fail(error, call);
  } finally {
    // Also reached when the reader leaves before the end.
    if (outcome !== "") {
      logEnd(call, outcome);
    }
  }
}

/** The messages, made on behalf of the request whoever reads them. */
function readOnBehalfOf<T>(requestId: string, messages: AsyncIterable<T>): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const source = messages[Symbol.asyncIterator]();
      return {
        next: () => onBehalfOf(requestId, () => source.next()),
        return: async () => (await source.return?.()) ?? { done: true, value: undefined },
      };
    },
  };
}

function fail(error: unknown, call: Call): ConnectError {
  const told = toConnectError(error, call);
  logEnd(call, Code[told.code]);
  return told;
}

function logEnd(call: Call, code: string): void {
  call.logger.debug("call ended", {
    procedure: call.procedure,
    requestId: call.requestId,
    caller: call.values.get(callerKey),
    code,
    durationMs: performance.now() - call.startedAt,
  });
}
