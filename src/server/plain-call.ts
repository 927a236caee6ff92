import type { Caller } from "../access/access-guard.ts";
import { requireScope } from "../access/access-guard.ts";
import type { Scope } from "../access/token.ts";
import { auditCall } from "../rpc/audit.ts";
import { Call } from "../rpc/call.ts";
import type { ErrorDescription } from "../rpc/describe-error.ts";
import { describeError } from "../rpc/describe-error.ts";
import type { ServedMethod } from "../rpc/methods.ts";
import type { AuditLogger } from "../telemetry/logger.ts";
import { onBehalfOf } from "../telemetry/request-context.ts";
import type { Exchange } from "./exchange.ts";
import { answerText } from "./exchange.ts";
import type { CallHost } from "./served-call.ts";

export interface PlainCallOptions {
  readonly host: CallHost;
  readonly logger: AuditLogger;
  /** The method whose rule applies: scope, audit, time limits. */
  readonly method: ServedMethod;
  /** For the log, such as `GET /export.parquet`. */
  readonly procedure: string;
  /** Answers an error. Default: one line of text. */
  readonly answerError?: (exchange: Exchange, error: ErrorDescription) => void;
}

/**
 * Answers a plain HTTP request as a call of a method: with its access rule, its rate, its audit and the error table.
 *
 * @param answer gives the answer. What it throws is answered, unless an answer has begun; then the answer is cut.
 */
export async function answerAsCall(
  exchange: Exchange,
  options: PlainCallOptions,
  answer: (call: Call, caller: Caller) => Promise<void>,
): Promise<void> {
  const { host, method } = options;
  const call = new Call({
    method,
    protocol: "http",
    requestId: exchange.requestId,
    address: exchange.peer.address,
    authorization: exchange.headers.authorization,
    timeoutMs: undefined,
    onEnd: host.onCallEnd,
  });
  // The request has already had its turn.
  call.begunAt = call.startedAt;
  host.onCallStart(call);
  exchange.onClose(() => endCall(exchange, call));
  try {
    await onBehalfOf(call.id, () => answer(call, admit(call, options)));
  } catch (error) {
    failCall(exchange, call, error, options);
  }
}

/** The method with this name, such as `Export`. @throws Error when it is not served. */
export function findMethod(methods: readonly ServedMethod[], name: string): ServedMethod {
  const method = methods.find(({ spec }) => spec.method.name === name);
  if (method === undefined) {
    throw new Error(`the ${name} RPC is not served`);
  }
  return method;
}

function admit(call: Call, { host, logger }: PlainCallOptions): Caller {
  const refusal = host.gate(call);
  if (refusal !== undefined) {
    throw refusal;
  }
  const { rule } = call.method;
  if (rule.isAudited === true) {
    auditCall(call, logger);
  }
  if (call.caller === undefined) {
    throw new Error("the gate let a call in without its caller");
  }
  requireScope(call.caller, scopeOf(rule.scope));
  return call.caller;
}

function scopeOf(scope: ServedMethod["rule"]["scope"]): Scope {
  if (scope === "any" || scope === "open") {
    throw new Error("a plain call needs a scope");
  }
  return scope;
}

/** Ends a call when its answer is sent or its client has gone, unless it failed before. */
function endCall({ response, status = 0 }: Exchange, call: Call): void {
  if (!response.writableFinished) {
    call.cancel();
  } else if (status >= 400) {
    // The router has already answered.
    call.expire();
    call.end(call.cutBy?.code);
  } else {
    call.end(undefined);
  }
}

function failCall(exchange: Exchange, call: Call, error: unknown, options: PlainCallOptions): void {
  const { logger, procedure, answerError = answerAsText } = options;
  if (exchange.isClosed || exchange.hasAnswered) {
    logger.info("answer ended early", { procedure, err: error });
    exchange.cut();
    return;
  }
  const description = describeError(error, { requestId: call.id, procedure, logger });
  answerError(exchange, description);
  call.end(description.code);
}

function answerAsText(exchange: Exchange, { httpStatus, message, metadata }: ErrorDescription): void {
  answerText(exchange, httpStatus, message, metadata);
}
