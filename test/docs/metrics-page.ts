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

\`/metrics\` has these metrics in the text format of Prometheus. Counters start at 0 with the process. A gauge
without a value is absent: for example, \`vehicle_snapshot_data_date\` until the snapshot is ready. With \`WORKERS\`, the
values are those of [all processes](operations.md#several-cores). This page is generated: to change it, edit
\`src/telemetry/metric-list.ts\` and run \`npm run generate\`.

| metric | type | labels | meaning |
|---|---|---|---|
${rows.join("\n")}

The names that begin with \`grpc_server_\` are those of go-grpc-middleware, so existing dashboards work. They count RPCs, not
plain HTTP requests such as \`POST /decode\`. \`vehicle_lookups_total\` and \`vehicle_exports_total\` count both. A stream ends
when its client has received the last message, has left, or was disconnected. Each histogram has series that end in
\`_bucket\`, \`_sum\` and \`_count\`.

Metrics of the Node process begin with \`process_\` and \`nodejs_\`. Watch the delay of the event loop
(\`nodejs_eventloop_lag_p99_seconds\`), the memory (\`process_resident_memory_bytes\`), and the number of open files and
connections (\`process_open_fds\`).

## Labels

Each label has a fixed set of values. Labels never have a VIN, a caller, an address or a text that a client sent.

| label | values |
|---|---|
${labelRows.join("\n")}
`);
