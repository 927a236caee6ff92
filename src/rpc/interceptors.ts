import type {
  ConnectError,
  Interceptor,
  StreamRequest,
  StreamResponse,
  UnaryRequest,
  UnaryResponse,
} from "@connectrpc/connect";
import type { AccessGuard } from "../access/access-guard.ts";
import { isRefusal, requireScope } from "../access/access-guard.ts";
import type { AuditLogger, Logger } from "../telemetry/logger.ts";
import { onBehalfOf } from "../telemetry/request-context.ts";
import { auditCall } from "./audit.ts";
import type { Call } from "./call.ts";
import { callOf } from "./call.ts";
import { preparedRefusal, toConnectError } from "./error-table.ts";

export interface InterceptorsOptions {
  readonly guard: AccessGuard;
  readonly logger: AuditLogger;
}

/** What stands around every call, the first one outermost: errors, audit, access. */
export function createInterceptors({ guard, logger }: InterceptorsOptions): Interceptor[] {
  return [createCallInterceptor(logger), createAuditInterceptor(logger), createAccessInterceptor(guard)];
}

const STREAMS_RETRY_AFTER_MS = 10_000;

/** Decides, before a request is read, whether a call may come in; gives the error to answer with when it may not. */
export type Gate = (call: Call) => ConnectError | undefined;

/** Identifies callers, charges them for one call, and bounds the streams of those who have no token. */
export function createGate(guard: AccessGuard): Gate {
  const openStreams = new Map<string, number>();
  return (call) => {
    const { rule, name } = call.method;
    if (rule.scope !== "open") {
      const admitted = guard.admit(call.authorization, call.address);
      if (isRefusal(admitted)) {
        return preparedRefusal(admitted);
      }
      call.caller = admitted;
    }
    if (rule.maxOpenWithoutToken === undefined || guard.isTokenValid(call.authorization)) {
      return undefined;
    }
    const open = openStreams.get(name) ?? 0;
    if (open >= rule.maxOpenWithoutToken) {
      return preparedRefusal({ reason: "TOO_MANY_STREAMS", retryAfterMs: STREAMS_RETRY_AFTER_MS });
    }
    openStreams.set(name, open + 1);
    call.onEnd(() => openStreams.set(name, (openStreams.get(name) ?? 1) - 1));
    return undefined;
  };
}

/** What the caller of a call is told of an error. */
export function describeTo(call: Call, error: unknown, logger: Logger): ConnectError {
  const described = toConnectError(error, { requestId: call.id, procedure: call.method.name, logger });
  call.errorCode = described.code;
  return described;
}

/** Maps errors by the error table. What is logged meanwhile names the request. */
function createCallInterceptor(logger: Logger): Interceptor {
  return (next) => async (request) => {
    const call = callOf(request.contextValues);
    call.hasReachedHandler = true;
    try {
      const response = await onBehalfOf(call.id, () => next(request));
      return response.stream ? { ...response, message: answersOf(call, response.message, logger) } : response;
    } catch (error) {
      throw describeTo(call, error, logger);
    }
  };
}

/** A handler's messages, each made on behalf of the call. A reader that leaves does not wait for the handler to end. */
function answersOf<T>(call: Call, messages: AsyncIterable<T>, logger: Logger): AsyncIterable<T> {
  const fail = (error: unknown): never => {
    throw describeTo(call, error, logger);
  };
  return {
    [Symbol.asyncIterator]() {
      const source = messages[Symbol.asyncIterator]();
      const leave = (): void => {
        // Not awaited: a generator that hangs would never answer.
        onBehalfOf(call.id, () => source.return?.())?.catch(() => {});
      };
      return {
        next: () => onBehalfOf(call.id, () => source.next()).catch(fail),
        async return() {
          leave();
          return { done: true, value: undefined };
        },
        async throw(reason: unknown) {
          leave();
          throw reason;
        },
      };
    },
  };
}

/**
 * Leaves an audit line at the end of every call whose rule asks for it. Callers that were not let in leave none, or
 * anybody could fill the log; those that lack the scope do.
 */
function createAuditInterceptor(logger: AuditLogger): Interceptor {
  return (next) => (request) => {
    const call = callOf(request.contextValues);
    const { rule } = call.method;
    if (rule.isAudited === true) {
      auditCall(call, logger, request.stream ? undefined : rule.vinOf?.(request.message));
    }
    return next(request);
  };
}

/** Lets callers do what their token allows, and charges a request for what it costs beyond the one unit of the gate. */
function createAccessInterceptor(guard: AccessGuard): Interceptor {
  return (next) => (request) => {
    const { caller, method } = callOf(request.contextValues);
    const { scope, costOf } = method.rule;
    if (caller === undefined) {
      if (scope !== "open") {
        throw new Error("a call reached its handler past the gate");
      }
      return next(request);
    }
    if (scope !== "open" && scope !== "any") {
      requireScope(caller, scope);
    }
    return costOf === undefined
      ? next(request)
      : next(charged(request, (cost) => guard.charge(caller, cost - 1), costOf));
  };
}

type AnyRequest = UnaryRequest | StreamRequest;

function charged(
  request: AnyRequest,
  charge: (cost: number) => void,
  costOf: (message: unknown) => number,
): AnyRequest {
  if (!request.stream) {
    charge(costOf(request.message));
    return request;
  }
  const charging = async function* <T>(messages: AsyncIterable<T>): AsyncIterable<T> {
    for await (const message of messages) {
      charge(costOf(message));
      yield message;
    }
  };
  return { ...request, message: charging(request.message) };
}

/** What a transport calls with a request: every interceptor around a handler, composed once for all calls of a method. */
export type Handle = (request: AnyRequest) => Promise<UnaryResponse | StreamResponse>;

/** Composes interceptors around a handler, the first one outermost. */
export function compose(handler: Handle, interceptors: readonly Interceptor[]): Handle {
  return interceptors.reduceRight<Handle>((next, interceptor) => interceptor(next), handler);
}
