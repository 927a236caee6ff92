/**
 * Traces the calls of a Connect server with OpenTelemetry. To use it elsewhere, copy this file: it needs only
 * `@connectrpc/connect`, `@opentelemetry/api` and `@opentelemetry/semantic-conventions`.
 *
 * It follows the semantic conventions for RPC, version 1.45, and uses only their stable names.
 *
 * - Each call gets a span of kind SERVER. Its parent comes from the caller's `traceparent` and `tracestate`.
 * - The span of a stream ends with its last message, or when its reader leaves.
 * - The handler runs in the context of the span, so spans that it starts are children of this span.
 * - A response that is ready is returned without a promise, and a call that is not sampled is passed on unchanged.
 */
import type { StreamRequest, StreamResponse, UnaryRequest, UnaryResponse } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { Attributes, Context, Span, TextMapPropagator, Tracer } from "@opentelemetry/api";
import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import {
  ATTR_ERROR_TYPE,
  ATTR_RPC_METHOD,
  ATTR_RPC_STATUS_CODE,
  ATTR_RPC_SYSTEM_NAME,
  RPC_SYSTEM_NAME_VALUE_GRPC,
} from "@opentelemetry/semantic-conventions";

export interface OtelInterceptorOptions {
  readonly tracer: Tracer;
  /** Reads the caller's context, usually a `W3CTraceContextPropagator`. */
  readonly propagator: TextMapPropagator;
  /**
   * Whether to start a trace for a call whose caller sends none. Returning false costs much less than a sampler that
   * drops the span. Default: always true, and the tracer's sampler decides.
   */
  readonly beginsTrace?: () => boolean;
  /** Returns a header of the request. Default: from `request.header`. */
  readonly headerOf?: (request: AnyRequest, name: string) => string | undefined;
  /** When the request arrived, on the clock of `performance.now()`. Default: when the interceptor is called. */
  readonly startedAt?: (request: AnyRequest) => number;
  /** Called with each recorded span before the handler runs. Default: does nothing. */
  readonly onSpan?: (request: AnyRequest, span: Span, spanContext: Context) => void;
  /**
   * Must call the listener at the end of the call, with its code, or undefined for success. Default: the span ends when
   * the handler's response ends, because Connect does not tell interceptors when a response has been sent.
   */
  readonly onEnd?: (request: AnyRequest, listener: (code: Code | undefined) => void) => void;
}

type AnyRequest = UnaryRequest | StreamRequest;
type AnyResponse = UnaryResponse | StreamResponse;
type Handle = (request: AnyRequest) => AnyResponse | Promise<AnyResponse>;

/** Called with the outcome of the handler. The code is undefined for success. */
type Done = (code: Code | undefined, message?: string) => void;

/**
 * Creates the interceptor. Put it before all others, so that it sees the errors that callers get. Connect expects
 * interceptors to return promises. To use this one with Connect's own server, wrap it in an async function.
 */
export function createOtelInterceptor(options: OtelInterceptorOptions): (next: Handle) => Handle {
  const { tracer, propagator, beginsTrace, startedAt, onSpan, onEnd } = options;
  const headerOf = options.headerOf ?? ((request, name) => request.header.get(name) ?? undefined);
  const getter = { get: headerOf, keys: (request: AnyRequest) => [...request.header.keys()] };
  return (next) => (request) => {
    const parent = propagator.extract(ROOT_CONTEXT, request, getter);
    if (trace.getSpanContext(parent) === undefined && beginsTrace?.() === false) {
      return next(request);
    }
    const system = systemOf(headerOf(request, "content-type"));
    const span = startCallSpan(tracer, parent, methodOf(request), system, startedAt?.(request));
    if (!span.isRecording()) {
      return next(request);
    }
    const spanContext = trace.setSpan(parent, span);
    onSpan?.(request, span, spanContext);
    let done: Done = (code, message) => endCallSpan(span, system, code, message);
    if (onEnd === undefined) {
      endWhenAborted(request, done);
    } else {
      let reason: string | undefined;
      onEnd(request, (code) => endCallSpan(span, system, code, reason));
      done = (_code, message) => {
        reason = message;
      };
    }
    return context.with(spanContext, () => observe(() => next(request), done, spanContext));
  };
}

/** Ends a stream's span when its client leaves. Connect does not always end the iterator then. */
function endWhenAborted({ stream, signal }: AnyRequest, done: Done): void {
  if (stream) {
    const end = (): void => {
      const { code, rawMessage } = ConnectError.from(signal.reason, Code.Canceled);
      done(code, rawMessage);
    };
    signal.addEventListener("abort", end, { once: true });
  }
}

/** Calls the handler and reports its outcome. */
function observe(
  handle: () => AnyResponse | Promise<AnyResponse>,
  done: Done,
  spanContext: Context,
): AnyResponse | Promise<AnyResponse> {
  const fail = (error: unknown): never => {
    const { code, rawMessage } = ConnectError.from(error);
    done(code, rawMessage);
    throw error;
  };
  const succeed = (response: AnyResponse): AnyResponse => {
    if (response.stream) {
      return { ...response, message: observeMessages(response.message, done, fail, spanContext) };
    }
    done(undefined);
    return response;
  };
  try {
    const response = handle();
    return response instanceof Promise ? response.then(succeed, fail) : succeed(response);
  } catch (error) {
    return fail(error);
  }
}

/** Wraps the messages of a handler, so that each is produced in the context of the span. */
function observeMessages<T>(
  messages: AsyncIterable<T>,
  done: Done,
  fail: (error: unknown) => never,
  spanContext: Context,
): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const source = messages[Symbol.asyncIterator]();
      const leave = async (value?: unknown): Promise<IteratorResult<T>> => {
        done(Code.Canceled, "the reader left");
        await context.with(spanContext, () => source.return?.());
        return { done: true, value };
      };
      return {
        async next() {
          const result = await context.with(spanContext, () => source.next()).catch(fail);
          if (result.done === true) {
            done(undefined);
          }
          return result;
        },
        return: leave,
        throw: async (error: unknown) => {
          await leave();
          throw error;
        },
      };
    },
  };
}

/** The codes that mean a fault of the server. Other codes, such as NOT_FOUND, are normal outcomes. */
const FAULTS: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Unimplemented,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/** The `rpc.system.name` of Connect. The conventions list it, but the package has no constant for it. */
const CONNECT = "connectrpc";

/** The `rpc.system.name` of a request with this content type. gRPC-Web counts as gRPC. */
export function systemOf(contentType: string | undefined): string {
  return contentType?.startsWith("application/grpc") === true ? RPC_SYSTEM_NAME_VALUE_GRPC : CONNECT;
}

/** The full name of the method, such as `vehicle.v1.VehicleService/Lookup`. */
function methodOf({ service, method }: AnyRequest): string {
  return `${service.typeName}/${method.name}`;
}

/** The system's clock minus the monotonic one, in ms. */
let epochOffsetMs = performance.timeOrigin;
/** A larger difference means that the system's clock was changed. */
const MAX_CLOCK_DIFFERENCE_MS = 100;

/**
 * Converts a time of `performance.now()` to ms since the epoch. The SDK's own conversion rounds to whole milliseconds
 * for each span, so a part could appear to start before its call.
 */
export function toEpochMs(time: number): number {
  const offset = Date.now() - performance.now();
  if (Math.abs(offset - epochOffsetMs) > MAX_CLOCK_DIFFERENCE_MS) {
    epochOffsetMs = offset;
  }
  return time + epochOffsetMs;
}

/** Starts the span of a call. @param startedAt on the clock of `performance.now()`. Default: now. */
export function startCallSpan(
  tracer: Tracer,
  parent: Context,
  method: string,
  system: string,
  startedAt = performance.now(),
): Span {
  const attributes = { [ATTR_RPC_SYSTEM_NAME]: system, [ATTR_RPC_METHOD]: method };
  return tracer.startSpan(method, { kind: SpanKind.SERVER, attributes, startTime: toEpochMs(startedAt) }, parent);
}

/** Ends a span with the outcome of its call. Has no effect on a span that has ended. */
export function endCallSpan(span: Span, system: string, code: Code | undefined, message: string | undefined): void {
  if (span.isRecording()) {
    span.setAttributes(outcomeAttributes(system, code));
    if (code !== undefined && FAULTS.has(code)) {
      span.setStatus({ code: SpanStatusCode.ERROR, ...(message !== undefined && { message }) });
    }
    span.end(toEpochMs(performance.now()));
  }
}

/** The attributes for the outcome of a call, for spans and the metric `rpc.server.call.duration`. */
export function outcomeAttributes(system: string, code: Code | undefined): Attributes {
  if (code === undefined) {
    // Connect has no code for success.
    return system === CONNECT ? {} : { [ATTR_RPC_STATUS_CODE]: "OK" };
  }
  const connectCode = codeToString(code);
  const status = system === CONNECT ? connectCode : toGrpcCode(connectCode);
  return { [ATTR_RPC_STATUS_CODE]: status, ...(FAULTS.has(code) && { [ATTR_ERROR_TYPE]: status }) };
}

/** The gRPC name of a code, such as `DEADLINE_EXCEEDED`. */
function toGrpcCode(connectCode: string): string {
  return connectCode === "canceled" ? "CANCELLED" : connectCode.toUpperCase();
}
