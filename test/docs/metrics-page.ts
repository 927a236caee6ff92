/** Prints docs/metrics.md. `npm run generate` writes it, and `npm run check` compares it. */
import type { MetricDefinition } from "../../src/telemetry/metric-list.ts";
import { METRICS } from "../../src/telemetry/metric-list.ts";

const metrics: readonly [string, MetricDefinition][] = Object.entries(METRICS);

function code(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(", ");
}

const rows = metrics.map(
  ([name, { type, labels = {}, help }]) => `| \`${name}\` | ${type} | ${code(Object.keys(labels))} | ${help} |`,
);

const values = new Map<string, Set<string>>();
for (const [, { labels = {} }] of metrics) {
  for (const [label, words] of Object.entries(labels)) {
    for (const text of typeof words === "string" ? [words] : words.map((word) => code([word]))) {
      values.set(label, (values.get(label) ?? new Set()).add(text));
    }
  }
}
const labelRows = [...values].map(([label, texts]) => `| \`${label}\` | ${[...texts].join(", ")} |`);

process.stdout.write(`# Metrics

\`/metrics\` has these metrics in the text format of Prometheus. Totals count from the start of the process. A gauge
without a value is absent: for example, there is no date while the snapshot is not ready. This page is generated: to change
it, edit \`src/telemetry/metric-list.ts\` and run \`npm run generate\`.

| metric | type | labels | meaning |
|---|---|---|---|
${rows.join("\n")}

The names that begin with \`grpc_server_\` are those of go-grpc-middleware, so existing dashboards work. A stream ends when
its client has taken the last message, has left, or was disconnected. Its duration and code are taken at that moment. The
histograms also have \`_bucket\`, \`_sum\` and \`_count\`.

Metrics of the Node process begin with \`process_\` and \`nodejs_\`. \`nodejs_eventloop_lag_p99_seconds\` is the delay of the
event loop, \`process_resident_memory_bytes\` the memory, and \`process_open_fds\` the number of open files and connections.

## Labels

Each label has a fixed set of values. No VIN, caller, address or text of a client becomes one.

| label | values |
|---|---|
${labelRows.join("\n")}
`);
