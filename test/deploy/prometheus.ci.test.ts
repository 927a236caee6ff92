import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { ROOT } from "../docs/documents.ts";
import { clientOf } from "../support/clients.ts";
import { freePort } from "../support/free-port.ts";
import { manyVins } from "../support/real-vins.ts";
import { startTestApp } from "../support/test-app.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { readAlerts, readDashboardExpressions } from "./deploy-files.ts";

const ALERTS_FILE = `${ROOT}deploy/prometheus/alerts.yaml`;

test("promtool accepts the alerts", async () => {
  const { stdout } = await promisify(execFile)("promtool", ["check", "rules", ALERTS_FILE]);

  expect(stdout).toContain(`${readAlerts().length} rules found`);
});

test("Prometheus loads every rule, scrapes the service, and evaluates every expression of the dashboard", async () => {
  await using app = await startTestApp();
  const [vin = ""] = manyVins(1);
  await clientOf(app).lookup({ vin });
  await using prometheus = await startPrometheus(app.httpAddress);

  await expect.poll(() => prometheus.ask("/api/v1/query?query=vehicle_lookups_total")).toContain('"decoded"');
  // A scrape that takes a second fails, and the next one may succeed.
  await expect.poll(() => prometheus.healthOfTargets()).toEqual(["up"]);
  const rules = await prometheus.ask("/api/v1/rules");
  const answers = await Promise.all(
    [...readDashboardExpressions(), ...readAlerts().map(({ expr }) => expr)].map((expr) =>
      prometheus.ask(`/api/v1/query?query=${encodeURIComponent(expr)}`),
    ),
  );

  expect([...rules.matchAll(/"name":"(Vehicle\w+)"/g)].map(([, name]) => name)).toEqual(
    readAlerts().map(({ name }) => name),
  );
  expect(rules).not.toContain('"health":"err"');
  expect(answers.filter((answer) => !answer.startsWith('{"status":"success"'))).toEqual([]);
});

interface Prometheus extends AsyncDisposable {
  ask(path: string): Promise<string>;
  /** Whether the last scrape of each target was successful. */
  healthOfTargets(): Promise<unknown[]>;
}

/** Starts Debian's Prometheus with the alerts, scraping one address every second. */
async function startPrometheus(target: string): Promise<Prometheus> {
  const directory = await temporaryDirectory();
  await copyFile(ALERTS_FILE, join(directory.path, "alerts.yaml"));
  const config = join(directory.path, "prometheus.yaml");
  await writeFile(
    config,
    JSON.stringify({
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: ["alerts.yaml"],
      scrape_configs: [{ job_name: "vehicle-service", static_configs: [{ targets: [target] }] }],
    }),
  );
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    "prometheus",
    [`--config.file=${config}`, `--storage.tsdb.path=${directory.path}/data`, `--web.listen-address=${address}`],
    { stdio: "ignore" },
  );
  const exited = once(child, "exit");
  // Refused until it listens.
  const ask = (path: string): Promise<string> =>
    fetch(`http://${address}${path}`).then(
      (response) => response.text(),
      () => "",
    );
  return {
    ask,
    async healthOfTargets() {
      const targets = await ask("/api/v1/targets?state=active");
      return [...targets.matchAll(/"health":"(\w+)"/g)].map(([, health]) => health);
    },
    async [Symbol.asyncDispose]() {
      child.kill();
      await exited;
      await directory[Symbol.asyncDispose]();
    },
  };
}
