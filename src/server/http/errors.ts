import { ConnectError, type Interceptor } from "@connectrpc/connect";

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

/** The messages, with the errors of their source passed through `fail`; those of the reader are none of it. */
function catching<T>(messages: AsyncIterable<T>, fail: (error: unknown) => never): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const source = messages[Symbol.asyncIterator]();
      return {
        next: async () => await source.next().catch(fail),
        return: async () => (await source.return?.()) ?? { done: true, value: undefined },
        throw: async (reason: unknown) => {
          if (source.throw === undefined) {
            throw reason;
          }
          return await source.throw(reason);
        },
      };
    },
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
