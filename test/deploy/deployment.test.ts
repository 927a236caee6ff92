import { existsSync } from "node:fs";
import { parse, parseAllDocuments } from "yaml";
import { describe, expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { COMMANDS } from "../../src/cli/command-line.ts";
import { loadConfig, readConfig } from "../../src/config.ts";
import { parseDuration } from "../../src/config-values.ts";
import { ROOT } from "../docs/documents.ts";
import { readDeployFile, valuesAt } from "./deploy-files.ts";
import { readInstructions } from "./dockerfile.ts";

const VARIABLES = new Set<string>();
readConfig((name, defaultText, parseText) => {
  VARIABLES.add(`VEHICLE_${name}`);
  return parseText(defaultText);
});
const { grpcPort, httpPort } = loadConfig({});
const PORTS = [grpcPort, httpPort];

const compose: unknown = parse(readDeployFile("compose.yaml"));
const documents = parseAllDocuments(readDeployFile("kubernetes/vehicle-service.yaml"));
const manifests = documents.map((document): unknown => document.toJS());
const deployment = manifests.filter((manifest) => valuesAt(manifest, "kind")[0] === "Deployment");
const files = ["Dockerfile", "compose.yaml", "kubernetes/vehicle-service.yaml"].map((path) => [
  path,
  readDeployFile(path),
]);

test.each(files)("%s sets only variables that the service has", (_, text = "") => {
  const names = text
    .split("\n")
    .filter((line) => !line.trim().startsWith("#"))
    .flatMap((line) => line.match(/\bVEHICLE_[A-Z_]+/g) ?? []);

  expect([...VARIABLES]).toEqual(expect.arrayContaining(names));
  expect(names).not.toEqual([]);
});

describe("the Dockerfile", () => {
  const instructions = readInstructions();
  const argumentsOf = (name: string): string[] =>
    instructions.filter(({ keyword }) => keyword === name).map(({ rest }) => rest);

  test("copies what exists, and .dockerignore lets it through", () => {
    const sources = argumentsOf("COPY")
      .filter((rest) => !rest.startsWith("--from"))
      .flatMap((rest) => rest.split(" ").slice(0, -1));

    expect(sources.filter((path) => !existsSync(ROOT + path))).toEqual([]);
    expect(sources.toSorted()).toEqual([".npmrc", "gen", "package-lock.json", "package.json", "package.json", "src"]);
  });

  test("starts node itself with the flags of package.json, as a user without rights", () => {
    const [command = ""] = argumentsOf("CMD");

    expect(JSON.parse(command)).toEqual(["node", ...packageJson.config.nodeFlags.split(" "), "src/main.ts"]);
    expect(argumentsOf("USER")).toEqual(["1000:1000"]);
    expect(instructions.at(-1)?.keyword).toBe("CMD");
  });

  test("installs no development packages", () => {
    expect(argumentsOf("RUN")[0]).toContain("npm ci --omit=dev");
  });

  test("checks its health with a command that exists", () => {
    const [check = ""] = argumentsOf("HEALTHCHECK");
    const words: unknown = JSON.parse(check.slice(check.indexOf("[")));

    expect(words).toEqual(["node", "src/cli/main.ts", "health"]);
    expect(COMMANDS).toHaveProperty("health");
  });

  test("exposes the default ports", () => {
    expect(argumentsOf("EXPOSE")).toEqual([PORTS.join(" ")]);
  });
});

describe("the Kubernetes manifests", () => {
  test("are well-formed", () => {
    expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
  });

  test("use the default ports", () => {
    const containerPorts = valuesAt(deployment, "containerPort");
    const [grpc, http] = manifests
      .filter((manifest) => valuesAt(manifest, "kind")[0] === "Service")
      .map((manifest) => valuesAt(valuesAt(manifest, "ports"), "port")[0]);

    expect(containerPorts).toEqual(PORTS);
    expect([grpc, http]).toEqual(PORTS);
  });

  test("probe paths that are served, on ports that exist", () => {
    const probes = ["startupProbe", "livenessProbe", "readinessProbe"].map((name) => valuesAt(deployment, name));

    expect(probes.map((probe) => valuesAt(probe, "path"))).toEqual([["/healthz"], ["/healthz"], ["/readyz"]]);
    expect(probes.flatMap((probe) => valuesAt(probe, "port"))).toEqual(["http", "http", "http"]);
  });

  test("select the pods of the Deployment", () => {
    const selected = [...valuesAt(manifests, "matchLabels"), ...valuesAt(deployment, "labels")];

    expect(new Set(selected.map((labels) => JSON.stringify(labels)))).toEqual(new Set(['{"app":"vin-decoder"}']));
    expect(valuesAt(valuesAt(manifests, "scaleTargetRef"), "name")).toEqual(["vin-decoder"]);
  });

  test("set no variables of the service by accident", () => {
    const names = manifests
      .filter((manifest) => valuesAt(manifest, "kind")[0] === "Service")
      .map((manifest) => String(valuesAt(valuesAt(manifest, "metadata"), "name")[0]));

    expect(valuesAt(deployment, "enableServiceLinks")).toEqual([false]);
    expect(names.filter((name) => name.startsWith("vehicle"))).toEqual([]);
  });

  test("let nobody write to the root file system", () => {
    expect(valuesAt(deployment, "readOnlyRootFilesystem")).toEqual([true]);
    expect(valuesAt(deployment, "runAsNonRoot")).toEqual([true]);
  });

  test("give a pod more time than the service takes to stop", () => {
    const text = readDeployFile("kubernetes/vehicle-service.yaml");
    const [delayMs = 0, graceMs = 0] = ["DELAY", "GRACE"].map((name) =>
      parseDuration(new RegExp(`SHUTDOWN_${name}, value: (\\w+)`).exec(text)?.[1] ?? ""),
    );
    const [period, failures] = ["periodSeconds", "failureThreshold"].map((name) =>
      Number(valuesAt(valuesAt(deployment, "readinessProbe"), name)[0]),
    );

    expect(Number(valuesAt(deployment, "terminationGracePeriodSeconds")[0]) * 1_000).toBeGreaterThan(delayMs + graceMs);
    expect(delayMs).toBeGreaterThan((period ?? 0) * ((failures ?? 0) + 1) * 1_000);
  });

  test("mount the files that its variables name", () => {
    const text = readDeployFile("kubernetes/vehicle-service.yaml");
    const paths = [...text.matchAll(/_FILE, value: \/secrets\/([\w-]+)/g)].map(([, name]) => name);

    expect(new Set(Object.keys(valuesAt(manifests, "stringData")[0] ?? {}))).toEqual(new Set(paths));
  });
});

describe("the compose file", () => {
  test("mounts files that exist", () => {
    const mounts = [...readDeployFile("compose.yaml").matchAll(/- \.\/([^:\s]+):/g)].map(([, path = ""]) => path);

    expect(mounts.filter((path) => !existsSync(`${ROOT}deploy/${path}`))).toEqual([]);
    expect(mounts).not.toEqual([]);
  });

  test("passes the default ports on, and balances over replicas that are ready", () => {
    const balancer = readDeployFile("haproxy/haproxy.cfg");

    expect(valuesAt(compose, "ports")[0]).toEqual(PORTS.map((port) => `${port}:${port}`));
    expect([...balancer.matchAll(/vehicles:(\d+)/g)].map(([, port]) => Number(port))).toEqual(PORTS);
    expect([...balancer.matchAll(/httpchk GET (\S+)/g)].map(([, path]) => path)).toEqual(["/readyz", "/readyz"]);
    expect(readDeployFile("prometheus/prometheus.yaml")).toContain(`port: ${httpPort}\n`);
  });

  test("builds the Dockerfile, and gives each secret that it uses", () => {
    expect(valuesAt(compose, "dockerfile")).toEqual(["deploy/Dockerfile"]);
    const secrets = [...readDeployFile("compose.yaml").matchAll(/\/run\/secrets\/([\w-]+)/g)].map(([, name]) => name);
    expect(readDeployFile("compose.yaml").split("\nsecrets:")[1]).toMatch(new RegExp([...new Set(secrets)].join("|")));
  });
});
