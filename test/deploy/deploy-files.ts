import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { ROOT } from "../docs/documents.ts";

/** The text of a file of the deployment. */
export function readDeployFile(path: string): string {
  return readFileSync(`${ROOT}deploy/${path}`, "utf8");
}

/** Every value at this key, at any depth. */
export function valuesAt(tree: unknown, key: string): unknown[] {
  if (typeof tree !== "object" || tree === null) {
    return [];
  }
  return Object.entries(tree).flatMap(([name, value]) => (name === key ? [value] : valuesAt(value, key)));
}

/** An alert of Prometheus. */
export interface Alert {
  readonly name: string;
  readonly expr: string;
}

/** The alerts, in the order of the file. */
export function readAlerts(): Alert[] {
  const rules = valuesAt(parse(readDeployFile("prometheus/alerts.yaml")), "rules").flat();
  return rules.map((rule) => ({ name: String(valuesAt(rule, "alert")[0]), expr: String(valuesAt(rule, "expr")[0]) }));
}

/** The expressions of the dashboard, as Grafana sends them. */
export function readDashboardExpressions(): string[] {
  const dashboard: unknown = JSON.parse(readDeployFile("grafana/vehicle-service.json"));
  return valuesAt(dashboard, "expr").map((expr) =>
    String(expr).replaceAll("$__rate_interval", "1m").replaceAll("$job", "vehicle-service"),
  );
}
