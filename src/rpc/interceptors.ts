import type { ConnectError, StreamRequest, StreamResponse, UnaryRequest, UnaryResponse } from "@connectrpc/connect";
import type { AccessGuard, Refusal } from "../access/access-guard.ts";
import { isRefusal, requireScope } from "../access/access-guard.ts";
import type { AuditLogger, Logger } from "../telemetry/logger.ts";
import { RefusalLog } from "../telemetry/refusal-log.ts";
import { onBehalfOf } from "../telemetry/request-context.ts";
import { auditCall } from "./audit.ts";
import type { Call } from "./call.ts";
import { callOf } from "./call.ts";
import { preparedRefusal, toConnectError } from "./describe-error.ts";

export interface InterceptorsOptions {
  readonly guard: AccessGuard;
  readonly logger: AuditLogger;
}

/** The interceptors of every call, outermost first: errors, audit, access. */
export function createInterceptors({ guard, logger }: InterceptorsOptions): CallInterceptor[] {
  return [createCallInterceptor(logger), createAuditInterceptor(logger), createAccessInterceptor(guard)];
}

const STREAMS_RETRY_AFTER_MS = 10_000;

/** Decides, before the request is read, whether a call is admitted; returns the error to answer with when it is not. */
export type Gate = (call: Call) => ConnectError | undefined;

/**
 * Identifies callers, charges them for one call, and limits the open streams of callers without a token. Logs the
 * addresses of refused callers.
 */
export function createGate({ guard, logger }: InterceptorsOptions): Gate {
  const openStreams = new Map<string, number>();
  const refusals = new RefusalLog({ logger, message: "refused calls" });
  const refuse = ({ address }: Call, refusal: Refusal): ConnectError => {
    refusals.note(address, () => ({ reason: refusal.reason }));
    return preparedRefusal(refusal);
  };
  return (call) => {
    const { rule, name } = call.method;
    if (rule.scope !== "open") {
      const admitted = guard.admit(call.authorization, call.address);
      if (isRefusal(admitted)) {
        return refuse(call, admitted);
      }
      call.caller = admitted;
    }
    if (rule.maxOpenWithoutToken === undefined || guard.isTokenValid(call.authorization)) {
      return undefined;
    }
    const open = openStreams.get(name) ?? 0;
    if (open >= rule.maxOpenWithoutToken) {
      return refuse(call, { reason: "TOO_MANY_STREAMS", retryAfterMs: STREAMS_RETRY_AFTER_MS });
    }
    openStreams.set(name, open + 1);
    call.onEnd(() => openStreams.set(name, (openStreams.get(name) ?? 1) - 1));
    return undefined;
  };
}

/** Converts an error to the one that the caller receives. */
export function describeTo(call: Call, error: unknown, logger: Logger): ConnectError {
  return toConnectError(error, { requestId: call.id, procedure: call.procedure, logger });
}

/** Maps errors by the error table. Lines logged during the call have its request id. */
function createCallInterceptor(logger: Logger): CallInterceptor {
  const fail = (call: Call, error: unknown): never => {
    throw describeTo(call, error, logger);
  };
  const observe = (call: Call, response: AnyResponse): AnyResponse =>
    response.stream
      ? { ...response, message: answersOf(call, response.message, (error) => fail(call, error)) }
      : response;
  const observeLater = (call: Call, response: Promise<AnyResponse>): Promise<AnyResponse> =>
    response.then((ready) => observe(call, ready)).catch((error: unknown) => fail(call, error));
  return (next) => (request) => {
    const call = callOf(request.contextValues);
    call.hasReachedHandler = true;
    try {
      const response = onBehalfOf(call.context, next, request);
      return response instanceof Promise ? observeLater(call, response) : observe(call, response);
    } catch (error) {
      return fail(call, error);
    }
  };
}

/**
 * The messages of a handler, each produced on behalf of the call. A reader that leaves does not wait for the handler to
 * end.
 */
function answersOf<T>(call: Call, messages: AsyncIterable<T>, fail: (error: unknown) => never): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const source = messages[Symbol.asyncIterator]();
      const count = (result: IteratorResult<T>): IteratorResult<T> => {
        call.givenMessages += result.done === true ? 0 : 1;
        return result;
      };
      const leave = (): void => {
        // Not awaited: it would never resolve for a generator that hangs.
        onBehalfOf(call.context, () => source.return?.())?.catch(() => {});
      };
      return {
        next: () => onBehalfOf(call.context, () => source.next()).then(count, fail),
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
 * Logs an audit line at the end of every call whose rule asks for one. Calls refused at the gate are not audited,
 * because they could fill the log. Calls refused for lack of a scope are.
 */
function createAuditInterceptor(logger: AuditLogger): CallInterceptor {
  return (next) => (request) => {
    const call = callOf(request.contextValues);
    const { rule } = call.method;
    if (rule.isAudited === true) {
      auditCall(call, logger, request.stream ? undefined : rule.vinOf?.(request.message));
    }
    return next(request);
  };
}

/**
 * Enforces the scope of the caller's token, and charges a request for its cost beyond the one unit that the gate
 * charged.
 */
function createAccessInterceptor(guard: AccessGuard): CallInterceptor {
  return (next) => (request) => {
    const { caller, method } = callOf(request.contextValues);
    const { scope, costOf } = method.rule;
    if (caller === undefined) {
      if (scope !== "open") {
        throw new Error("a call reached its handler without passing the gate");
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

type AnyRequest = UnaryRequest | StreamRequest;
type AnyResponse = UnaryResponse | StreamResponse;

/** Answers a request. An answer that is ready is not wrapped in a promise, which would cost it several microtasks. */
export type Handle = (request: AnyRequest) => AnyResponse | Promise<AnyResponse>;

/** Like Connect's interceptors, but an answer that is ready passes without a promise. */
export type CallInterceptor = (next: Handle) => Handle;

/** Composes interceptors around a handler, the first one outermost. */
export function compose(handler: Handle, interceptors: readonly CallInterceptor[]): Handle {
  return interceptors.reduceRight<Handle>((next, interceptor) => interceptor(next), handler);
}
