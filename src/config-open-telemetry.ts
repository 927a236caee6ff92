import type { VariableReader } from "./config-values.ts";
import { oneOf, parseCount, parseShare } from "./config-values.ts";
import type { OpenTelemetrySettings } from "./telemetry/open-telemetry-settings.ts";
import { SAMPLERS } from "./telemetry/open-telemetry-settings.ts";

/** Reads OpenTelemetry's own variables. Their durations are in ms, without a unit. Undefined: it is off. */
export function readOpenTelemetry(read: VariableReader): OpenTelemetrySettings | undefined {
  const endpoint = read("OTEL_EXPORTER_OTLP_ENDPOINT", "", parseEndpoint);
  const settings = {
    exportsTraces: read("OTEL_TRACES_EXPORTER", "otlp", oneOf(["otlp", "none"])) === "otlp",
    exportsMetrics: read("OTEL_METRICS_EXPORTER", "otlp", oneOf(["otlp", "none"])) === "otlp",
    sampler: read("OTEL_TRACES_SAMPLER", "parentbased_always_on", oneOf(SAMPLERS)),
    samplerRatio: read("OTEL_TRACES_SAMPLER_ARG", "1", parseShare),
    metricIntervalMs: read("OTEL_METRIC_EXPORT_INTERVAL", "60000", parseCount),
  };
  const isDisabled = read("OTEL_SDK_DISABLED", "false", oneOf(["true", "false"])) === "true";
  return endpoint === undefined || isDisabled ? undefined : { endpoint, ...settings };
}

/** The base URL of a collector, without a slash at its end; undefined when empty. */
function parseEndpoint(text: string): string | undefined {
  if (text === "") {
    return undefined;
  }
  const { protocol } = URL.parse(text) ?? {};
  if (protocol !== "http:" && protocol !== "https:") {
    throw new Error("expected the URL of a collector, such as http://127.0.0.1:4318");
  }
  return text.replace(/\/+$/, "");
}
