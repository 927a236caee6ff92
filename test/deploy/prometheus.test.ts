import { expect, test } from "vitest";
import type { MetricDefinition } from "../../src/telemetry/metric-list.ts";
import { METRICS } from "../../src/telemetry/metric-list.ts";
import { readDocument } from "../docs/documents.ts";
import { someMetrics } from "../support/some-metrics.ts";
import { readAlerts, readDashboardExpressions, readDeployFile } from "./deploy-files.ts";

const ALERTS = readAlerts();
const EXPRESSIONS = [...ALERTS.map(({ expr }) => expr), ...readDashboardExpressions()];
/** Words of PromQL, and the labels that Prometheus adds. */
const WORDS = new Set(
  "sum by rate increase histogram_quantile max min count time and unless or le job instance".split(" "),
);

/** Every sample name with its labels: ours, and those of the Node process. */
async function knownSamples(): Promise<ReadonlyMap<string, MetricDefinition["labels"]>> {
  const samples = new Map<string, MetricDefinition["labels"]>([["up", {}]]);
  const own: readonly [string, MetricDefinition][] = Object.entries(METRICS);
  for (const [name, { type, labels = {} }] of own) {
    const names = type === "histogram" ? ["_bucket", "_sum", "_count"].map((suffix) => name + suffix) : [name];
    names.forEach((each) => samples.set(each, labels));
  }
  for (const [, name = ""] of (await someMetrics().render()).matchAll(/^((?:process|nodejs)_\w+)[ {]/gm)) {
    samples.set(name, {});
  }
  return samples;
}

test.each(EXPRESSIONS)("names only metrics, labels and values that exist: %s", async (expression) => {
  const samples = await knownSamples();
  const selectors = [...expression.matchAll(/([a-z]\w+)(?:\{([^}]*)\})?/g)].filter(([, name = ""]) =>
    samples.has(name),
  );
  const labelsInUse = new Set(selectors.flatMap(([, name = ""]) => Object.keys(samples.get(name) ?? {})));

  for (const [, name = "", matchers = ""] of selectors) {
    for (const [, label = "", values = ""] of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"/g)) {
      const allowed = samples.get(name)?.[label] ?? (WORDS.has(label) ? "any" : []);
      expect(typeof allowed === "string" ? values.split("|") : allowed).toEqual(
        expect.arrayContaining(values.split("|")),
      );
    }
  }
  const words = expression.replaceAll(/"[^"]*"|\[[^\]]*\]/g, "").match(/[a-z_]\w*/g) ?? [];
  const unknown = words.filter((word) => !WORDS.has(word) && !samples.has(word) && !labelsInUse.has(word));
  expect(unknown).toEqual([]);
  expect(selectors).not.toEqual([]);
});

test("an alert's summary uses only labels that its expression keeps", () => {
  const rules = readDeployFile("prometheus/alerts.yaml").split("- alert: ").slice(1);

  for (const rule of rules) {
    const grouping = /by \(([^)]*)\)/.exec(rule)?.[1]?.split(", ") ?? ["job", "instance", "reason"];
    const used = [...rule.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label);
    expect(grouping).toEqual(expect.arrayContaining(used));
  }
});

test("every alert is in the operations' table, with what to do, and nothing else", async () => {
  const { text } = await readDocument("docs/operations.md");

  const described = [...text.matchAll(/^\| `(Vehicle\w+)` \| [^|]+ \| [^|]+ \|$/gm)].map(([, name]) => name);

  expect(described).toEqual(ALERTS.map(({ name }) => name));
});
