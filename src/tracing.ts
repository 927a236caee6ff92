import type { Call } from "./rpc/call.ts";
import type { CallInterceptor } from "./rpc/interceptors.ts";
import type { Logger } from "./telemetry/logger.ts";
import type { Metrics } from "./telemetry/metrics.ts";
import type { OpenTelemetrySettings } from "./telemetry/open-telemetry-settings.ts";
import { VERSION } from "./version.ts";
import type { VpicAttempt } from "./vpic/policies.ts";

/** What is called at the start and at the end of each call. */
interface CallObserver {
  readonly onCallStart: (call: Call) => void;
  readonly onCallEnd: (call: Call) => void;
}

/** Traces and metrics for OpenTelemetry. */
export interface Tracing extends AsyncDisposable {
  /** These come before all others. */
  readonly interceptors: readonly CallInterceptor[];
  /** Adds the tracing to an observer. */
  observe(observer: CallObserver): CallObserver;
}

export interface TracingOptions {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly hasTls: boolean;
}

/** Turns OpenTelemetry on. Its packages are loaded only here. */
export async function openTracing(settings: OpenTelemetrySettings, options: TracingOptions): Promise<Tracing> {
  const { OpenTelemetry } = await import("./telemetry/open-telemetry.ts");
  const { callAttributes, createCallTracing } = await import("./rpc/call-tracing.ts");
  const { metrics, logger, hasTls } = options;
  const openTelemetry = new OpenTelemetry({ settings, version: VERSION, logger, metrics, callAttributes });
  const { tracer, propagator, beginsTrace } = openTelemetry;
  const calls = createCallTracing({ tracer, propagator, beginsTrace, hasTls });
  return {
    interceptors: settings.exportsTraces ? [calls.interceptor] : [],
    observe({ onCallStart, onCallEnd }) {
      if (!settings.exportsTraces) {
        return { onCallStart, onCallEnd };
      }
      return {
        onCallStart(call) {
          onCallStart(call);
          calls.onCallStart(call);
        },
        onCallEnd(call) {
          onCallEnd(call);
          calls.onCallEnd(call);
        },
      };
    },
    [Symbol.asyncDispose]: () => openTelemetry[Symbol.asyncDispose](),
  };
}

/**
 * Adds a request to vPIC to the traces of the calls that it was for. The names are those of the semantic conventions for
 * HTTP clients, written out because OpenTelemetry may be off.
 */
export function traceAttempt(attempt: VpicAttempt, vpicUrl: string): void {
  const { tracedRequests, vins, outcome, error, startedAt } = attempt;
  if (tracedRequests.size === 0) {
    return;
  }
  const { hostname, port, protocol } = new URL(vpicUrl);
  const hasAnswer = outcome === "answered" || outcome === "missing-row";
  const status = hasAnswer ? 200 : attempt.status;
  const method = vins === 1 ? "GET" : "POST";
  const part = {
    name: method,
    startedAt,
    isClient: true,
    attributes: {
      "http.request.method": method,
      "server.address": hostname,
      "server.port": Number(port || (protocol === "https:" ? 443 : 80)),
      "url.full":
        vpicUrl + (vins === 1 ? "/vehicles/DecodeVinValues/REDACTED?format=json" : "/vehicles/DecodeVINValuesBatch/"),
      ...(status !== undefined && { "http.response.status_code": status }),
    },
    fault:
      outcome === "answered"
        ? undefined
        : {
            type: outcome === "status" ? String(status) : outcome,
            message: error?.message ?? "no caller waited any more",
          },
  };
  for (const request of tracedRequests) {
    request.addPart(part);
  }
}
