import type { Caller } from "../access/access-guard.ts";
import { requireScope } from "../access/access-guard.ts";
import type { Scope } from "../access/token.ts";
import { auditCall } from "../rpc/audit.ts";
import { Call } from "../rpc/call.ts";
import type { ErrorDescription } from "../rpc/describe-error.ts";
import { describeError } from "../rpc/describe-error.ts";
import type { ServedMethod } from "../rpc/methods.ts";
import type { Logger } from "../telemetry/logger.ts";
import { onBehalfOf } from "../telemetry/request-context.ts";
import type { Watched } from "./call-watch.ts";
import type { Exchange } from "./exchange.ts";
import { answerText } from "./exchange.ts";
import type { Waiting } from "./line.ts";
import type { CallHost } from "./served-call.ts";

/** Answers one plain HTTP request. */
export interface PlainHandler {
  answer(exchange: Exchange): void | Promise<void>;
  /** How long an answer may take, in ms. Default: 30 s. */
  readonly maxMs?: number;
  /** Whether the handler enforces that the request arrives in time. Default: false, and the call watch enforces it. */
  readonly watchesArrival?: boolean;
}

const DEFAULT_MAX_MS = 30_000;

/** One plain request, which is answered when the turn of its connection comes. */
export class PlainCall implements Waiting, Watched {
  readonly #exchange: Exchange;
  readonly #handler: PlainHandler;
  readonly #logger: Logger;
  readonly deadlineAt: number;
  /** It never takes a slot. */
  readonly seat = -1;

  constructor(exchange: Exchange, handler: PlainHandler, logger: Logger) {
    this.#exchange = exchange;
    this.#handler = handler;
    this.#logger = logger;
    this.deadlineAt = performance.now() + (handler.maxMs ?? DEFAULT_MAX_MS);
  }

  get hasArrived(): boolean {
    return this.#exchange.hasArrived || this.#handler.watchesArrival === true;
  }

  get writtenBytes(): number {
    return this.#exchange.writtenBytes;
  }

  get pendingBytes(): number {
    // Some clients send their whole request before they read anything.
    const mayReadLater = this.#handler.watchesArrival === true && !this.#exchange.hasArrived;
    return mayReadLater ? 0 : this.#exchange.pendingBytes;
  }

  get isOver(): boolean {
    return this.#exchange.isClosed || this.#exchange.hasAnswered;
  }

  begin(): void {
    const { peer } = this.#exchange;
    this.#exchange.onClose(() => peer.line.done());
    this.#answer().catch((error: unknown) => this.#fail(error));
  }

  expire(): void {
    answerText(this.#exchange, 504, "The answer took too long.");
  }

  endLate(): void {
    this.#exchange.endConnection();
    answerText(this.#exchange, 408, "The request did not arrive in time.");
  }

  cut(): void {
    this.#exchange.cut();
  }

  async #answer(): Promise<void> {
    await this.#handler.answer(this.#exchange);
  }

  #fail(error: unknown): void {
    const { requestId } = this.#exchange;
    // Leaves out the segment that contains the VIN in vPIC's paths.
    const path = this.#exchange.path.split("/").slice(0, 4).join("/");
    this.#logger.error("request failed", { requestId, path, err: error });
    if (this.#exchange.hasAnswered) {
      this.cut();
    } else {
      answerText(this.#exchange, 500, `Internal error. Quote request id ${requestId} when reporting it.`);
    }
  }
}

export interface CallHandlerOptions {
  readonly host: CallHost;
  /** The method whose scope, audit and time limits apply, such as `Export`. */
  readonly method: string;
  /** The name in the log, such as `GET /export.parquet`. */
  readonly procedure: string;
  /** Answers the request. If it throws, the error is sent as the answer, or an answer that has begun is aborted. */
  readonly answer: (exchange: Exchange, call: Call, caller: Caller) => Promise<void>;
  /** Answers with an error. Default: one line of text. */
  readonly answerError?: (exchange: Exchange, error: ErrorDescription) => void;
  /** How long an answer may take, in ms. Default: as long as the method. */
  readonly maxMs?: number;
  /** See {@link PlainHandler}. */
  readonly watchesArrival?: boolean;
}

/**
 * Creates a handler that treats plain HTTP requests as calls of a method. The method's access rule, rate limit and
 * audit apply, and errors follow the error table.
 *
 * @throws Error when the method is not served
 */
export function createCallHandler(options: CallHandlerOptions): PlainHandler {
  const method = options.host.methods.find(({ spec }) => spec.method.name === options.method);
  if (method === undefined) {
    throw new Error(`the ${options.method} RPC is not served`);
  }
  return {
    maxMs: options.maxMs ?? method.rule.maxTimeoutMs,
    watchesArrival: options.watchesArrival ?? false,
    answer: (exchange) => answerAsCall(exchange, method, options),
  };
}

async function answerAsCall(exchange: Exchange, method: ServedMethod, options: CallHandlerOptions): Promise<void> {
  const { host, answer } = options;
  const call = new Call({
    method,
    protocol: "http",
    requestId: exchange.requestId,
    address: exchange.peer.address,
    authorization: exchange.headers.authorization,
    headers: exchange.headers,
    procedure: options.procedure,
    httpStatus: () => exchange.status,
    timeoutMs: undefined,
    onEnd: host.onCallEnd,
  });
  // The turn of the request has already come.
  call.begunAt = call.startedAt;
  host.onCallStart(call);
  exchange.onClose(() => endCall(exchange, call));
  try {
    await onBehalfOf(call.context, () => answer(exchange, call, admit(call, host)));
  } catch (error) {
    failCall(exchange, call, error, options);
  }
}

function admit(call: Call, host: CallHost): Caller {
  const refusal = host.gate(call);
  if (refusal !== undefined) {
    throw refusal;
  }
  const { rule } = call.method;
  if (rule.isAudited === true) {
    auditCall(call, host.logger);
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

/** Ends a call when its answer has been sent or its client has gone. Has no effect on a call that has failed. */
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

function failCall(exchange: Exchange, call: Call, error: unknown, options: CallHandlerOptions): void {
  const { procedure, answerError = answerAsText } = options;
  const { logger } = options.host;
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
