import { setTimeout as pause } from "node:timers/promises";
import type { TextMapPropagator, Tracer } from "@opentelemetry/api";
import { setGlobalErrorHandler, W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import type { Resource } from "@opentelemetry/resources";
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
  serviceNameEnvDetector,
} from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import type { Sampler } from "@opentelemetry/sdk-trace";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from "@opentelemetry/semantic-conventions";
import type { Logger } from "./logger.ts";
import type { OpenTelemetrySettings } from "./open-telemetry-settings.ts";
import type { OtlpMetricsOptions } from "./otlp-metrics.ts";
import { OtlpMetrics } from "./otlp-metrics.ts";

export interface OpenTelemetryOptions extends OtlpMetricsOptions {
  readonly settings: OpenTelemetrySettings;
  /** The version of the service. */
  readonly version: string;
  readonly logger: Pick<Logger, "warn">;
}

/** How long the service waits for the last spans and metrics to be sent when it stops, in ms. */
const LAST_EXPORT_MS = 3_000;
/** How often a failing export is logged at most, in ms. */
const WARN_EVERY_MS = 60_000;

/**
 * Sends traces and metrics over OTLP, as JSON over HTTP. This module is loaded only when OpenTelemetry is on. It sets no
 * global tracer, so libraries add no spans, and requests to vPIC have no trace headers.
 *
 * The exporters read the other `OTEL_EXPORTER_OTLP_*` variables themselves, such as those for headers and TLS.
 */
export class OpenTelemetry implements AsyncDisposable {
  readonly tracer: Tracer;
  readonly propagator: TextMapPropagator = new W3CTraceContextPropagator();
  readonly #share: number;
  readonly #traces: TracerProvider;
  readonly #metrics: MeterProvider;

  constructor({ settings, version, logger, ...metrics }: OpenTelemetryOptions) {
    const { endpoint, exportsTraces, exportsMetrics, metricIntervalMs } = settings;
    const resource = createResource(version);
    logFaults(logger);
    this.#share = shareOf(settings);
    this.#traces = new TracerProvider({
      resource,
      sampler: exportsTraces ? createSampler(settings) : new AlwaysOffSampler(),
      spanProcessors: exportsTraces
        ? [new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url: `${endpoint}/v1/traces` }) })]
        : [],
    });
    this.tracer = this.#traces.getTracer("vehicle-service", version);
    this.#metrics = new MeterProvider({
      resource,
      readers: exportsMetrics
        ? [
            new PeriodicExportingMetricReader({
              exporter: new OTLPMetricExporter({ url: `${endpoint}/v1/metrics` }),
              exportIntervalMillis: metricIntervalMs,
              metricProducers: [new OtlpMetrics(metrics)],
            }),
          ]
        : [],
    });
  }

  /** Whether to start a trace for a call whose caller sends none. Random, with the share that the settings give. */
  readonly beginsTrace = (): boolean => Math.random() < this.#share;

  /** Sends the remaining spans and metrics. Gives up after 3 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    const sent = Promise.allSettled([this.#traces.shutdown(), this.#metrics.shutdown()]);
    await Promise.race([sent, pause(LAST_EXPORT_MS, undefined, { ref: false })]);
  }
}

/** The resource that the exported data describes. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES can change it. */
function createResource(version: string): Resource {
  const own = { [ATTR_SERVICE_NAME]: "vehicle-service", [ATTR_SERVICE_VERSION]: version };
  const detectors = [serviceInstanceIdDetector, resourceAttributesEnvDetector, serviceNameEnvDetector];
  return defaultResource().merge(resourceFromAttributes(own)).merge(detectResources({ detectors }));
}

/** Samples calls whose caller sends a trace. Keeps all traces that {@link OpenTelemetry.beginsTrace} has started. */
function createSampler({ sampler, samplerRatio }: OpenTelemetrySettings): Sampler {
  const root = new AlwaysOnSampler();
  if (sampler.startsWith("parentbased_")) {
    return new ParentBasedSampler({ root });
  }
  const byTrace = new TraceIdRatioBasedSampler(shareOf({ sampler, samplerRatio }));
  return new ParentBasedSampler({ root, remoteParentSampled: byTrace, remoteParentNotSampled: byTrace });
}

/** The share of new traces that is recorded. */
function shareOf({ sampler, samplerRatio }: Pick<OpenTelemetrySettings, "sampler" | "samplerRatio">): number {
  if (sampler.endsWith("always_on")) {
    return 1;
  }
  return sampler.endsWith("always_off") ? 0 : samplerRatio;
}

/** Logs when traces or metrics cannot be sent. */
function logFaults(logger: Pick<Logger, "warn">): void {
  let warnedAt = -Infinity;
  setGlobalErrorHandler((error) => {
    const now = performance.now();
    if (now - warnedAt >= WARN_EVERY_MS) {
      warnedAt = now;
      logger.warn("cannot send traces or metrics to OTEL_EXPORTER_OTLP_ENDPOINT", { err: error });
    }
  });
}
