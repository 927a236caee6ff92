/** The values of `OTEL_TRACES_SAMPLER`. */
export const SAMPLERS = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;

/** The settings of OpenTelemetry. This file imports nothing, because OpenTelemetry is loaded only when it is on. */
export interface OpenTelemetrySettings {
  /** The base URL, without a slash at the end. */
  readonly endpoint: string;
  readonly exportsTraces: boolean;
  readonly exportsMetrics: boolean;
  readonly sampler: (typeof SAMPLERS)[number];
  /** The share of traces that the sampler `traceidratio` records, from 0 to 1. */
  readonly samplerRatio: number;
  readonly metricIntervalMs: number;
}
