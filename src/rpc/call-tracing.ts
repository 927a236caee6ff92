import type { IncomingHttpHeaders } from "node:http";
import type { Attributes, Context, Span, TextMapPropagator, Tracer } from "@opentelemetry/api";
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_HTTP_ROUTE,
  ATTR_RPC_METHOD,
  ATTR_RPC_SYSTEM_NAME,
  ATTR_URL_PATH,
  ATTR_URL_SCHEME,
} from "@opentelemetry/semantic-conventions";
import { Code } from "@connectrpc/connect";
import type { CallLabels } from "../telemetry/call-metrics.ts";
import type { RequestPart, TracedRequest } from "../telemetry/request-context.ts";
import type { Call } from "./call.ts";
import { callOf } from "./call.ts";
import type { CallInterceptor } from "./interceptors.ts";
import {
  createOtelInterceptor,
  endCallSpan,
  outcomeAttributes,
  startCallSpan,
  systemOf,
  toEpochMs,
} from "./otel-interceptor.ts";

export interface CallTracingOptions {
  readonly tracer: Tracer;
  readonly propagator: TextMapPropagator;
  /** Whether to start a trace for a call whose caller sends none. */
  readonly beginsTrace: () => boolean;
  readonly hasTls: boolean;
}

/** The tracing of calls. This module is loaded only when tracing is on. */
export interface CallTracing {
  /** Must be the first interceptor. */
  readonly interceptor: CallInterceptor;
  /** Traces plain requests, which interceptors do not see. */
  readonly onCallStart: (call: Call) => void;
  /** Traces calls that reached no interceptor: they were refused, or their request could not be read. */
  readonly onCallEnd: (call: Call) => void;
}

/** Maximum number of parts that are traced for one call. A batch may have thousands. */
const MAX_PARTS = 100;

/** Creates the tracing of all calls. The span of a call lasts from the arrival of its headers to its end. */
export function createCallTracing({ tracer, propagator, beginsTrace, hasTls }: CallTracingOptions): CallTracing {
  /** The caller's trace context, which is empty if the caller sends none; undefined when the call is not traced. */
  const parentOf = (call: Call): Context | undefined => {
    const parent = propagator.extract(ROOT_CONTEXT, call.headers, HEADERS);
    return trace.getSpanContext(parent) !== undefined || beginsTrace() ? parent : undefined;
  };
  return {
    interceptor: createOtelInterceptor({
      tracer,
      propagator,
      beginsTrace,
      headerOf: ({ contextValues }, name) => HEADERS.get(callOf(contextValues).headers, name),
      startedAt: ({ contextValues }) => callOf(contextValues).startedAt,
      onSpan({ contextValues }, span, spanContext) {
        const call = callOf(contextValues);
        const traced = new TracedCall(call.id, tracer, spanContext);
        traced.addPart({ name: "queue", startedAt: call.startedAt, endedAt: call.begunAt });
        call.traced = traced;
        call.onEnd(() => span.setAttributes(lookupAttributes(call)));
      },
      onEnd: ({ contextValues }, listener) => callOf(contextValues).onEnd(listener),
    }),
    onCallStart(call) {
      if (call.protocol !== "http") {
        return;
      }
      const parent = parentOf(call);
      if (parent === undefined) {
        return;
      }
      const [method = "", route = ""] = call.procedure.split(" ");
      const attributes = {
        [ATTR_HTTP_REQUEST_METHOD]: method,
        [ATTR_HTTP_ROUTE]: route,
        // Leaves out the VIN that some paths contain.
        [ATTR_URL_PATH]: route,
        [ATTR_URL_SCHEME]: hasTls ? "https" : "http",
      };
      const options = { kind: SpanKind.SERVER, attributes, startTime: toEpochMs(call.startedAt) };
      const span = tracer.startSpan(call.procedure, options, parent);
      if (span.isRecording()) {
        call.traced = new TracedCall(call.id, tracer, trace.setSpan(parent, span));
        call.onEnd(() => endPlainSpan(span, call));
      }
    },
    onCallEnd(call) {
      const isUnseen = call.protocol !== "http" && !call.hasReachedHandler;
      const parent = isUnseen ? parentOf(call) : undefined;
      if (parent !== undefined) {
        const system = systemOfProtocol(call.protocol);
        const span = startCallSpan(tracer, parent, call.method.name, system, call.startedAt);
        endCallSpan(span, system, call.code, call.cutBy?.rawMessage);
      }
    },
  };
}

/** The attributes of calls in the metric `rpc.server.call.duration`. @param code the name in Go, such as `NotFound` */
export function callAttributes({ service, method, protocol }: CallLabels, code: string): Attributes {
  const system = systemOfProtocol(protocol);
  return {
    [ATTR_RPC_SYSTEM_NAME]: system,
    [ATTR_RPC_METHOD]: `${service}/${method}`,
    ...outcomeAttributes(system, toCode(code)),
  };
}

/** A traced call, which is the parent of its parts. */
class TracedCall implements TracedRequest {
  readonly requestId: string;
  readonly #tracer: Tracer;
  readonly #context: Context;
  #parts = 0;

  constructor(requestId: string, tracer: Tracer, context: Context) {
    this.requestId = requestId;
    this.#tracer = tracer;
    this.#context = context;
  }

  addPart({ name, startedAt, endedAt, isClient = false, attributes = {}, fault }: RequestPart): void {
    if (this.#parts >= MAX_PARTS) {
      return;
    }
    this.#parts++;
    const kind = isClient ? SpanKind.CLIENT : SpanKind.INTERNAL;
    const span = this.#tracer.startSpan(name, { kind, attributes, startTime: toEpochMs(startedAt) }, this.#context);
    if (fault !== undefined) {
      span.setAttribute(ATTR_ERROR_TYPE, fault.type);
      span.setStatus({ code: SpanStatusCode.ERROR, message: fault.message });
    }
    span.end(toEpochMs(endedAt ?? performance.now()));
  }
}

const HEADERS = {
  get(headers: IncomingHttpHeaders, name: string): string | undefined {
    const value = headers[name];
    return Array.isArray(value) ? value.join(",") : value;
  },
  keys: (headers: IncomingHttpHeaders): string[] => Object.keys(headers),
};

function lookupAttributes({ lookup }: Call): Attributes {
  return lookup?.result === undefined
    ? {}
    : { "vehicle.source": lookup.result.vehicle.source, "vehicle.cached": lookup.result.cached };
}

function endPlainSpan(span: Span, { httpStatus, cutBy }: Call): void {
  const status = httpStatus();
  if (status !== undefined) {
    span.setAttribute(ATTR_HTTP_RESPONSE_STATUS_CODE, status);
  }
  if (status === undefined || status >= 500) {
    span.setAttribute(ATTR_ERROR_TYPE, status === undefined ? "_OTHER" : String(status));
    span.setStatus({ code: SpanStatusCode.ERROR, ...(cutBy && { message: cutBy.rawMessage }) });
  }
  span.end(toEpochMs(performance.now()));
}

function systemOfProtocol(protocol: string): string {
  return systemOf(protocol === "connect" ? undefined : "application/grpc");
}

function toCode(name: string): Code | undefined {
  return Object.values(Code).find((code): code is Code => typeof code === "number" && Code[code] === name);
}
