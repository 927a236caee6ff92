import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { directoryWithSnapshot } from "../support/shared.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";
import { runProgram } from "./clients/run-program.ts";
import packageJson from "../../package.json" with { type: "json" };

const BUF = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));
const LOOKUP = "vehicle.v1.VehicleService/Lookup";

/** The VINs of five trucks as a user may type them, with vPIC's answers. */
const TRUCKS = [
  ["1xpwd40x1ed215307 ", "1XPWD40X1ED215307", "PETERBILT", "388", "2014"],
  ["1XKWDB0X57J211825", "1XKWDB0X57J211825", "KENWORTH", "W9 Series", "2007"],
  ["1XP5DB9X7YN526158", "1XP5DB9X7YN526158", "PETERBILT", "379", "2000"],
  ["4V4NC9EJXEN171694", "4V4NC9EJXEN171694", "VOLVO TRUCK", "VNL", "2014"],
  ["1XP5DB9X7XD487964", "1XP5DB9X7XD487964", "PETERBILT", "379", "1999"],
] as const;
const [[, VIN, MAKE]] = TRUCKS;

const running = new AsyncDisposableStack();
let app: TestApp;

beforeAll(async () => {
  const directory = running.use(await directoryWithSnapshot());
  app = running.use(await startTestApp({ env: { SOURCES: "snapshot", DATA_DIR: directory.path } }));
});

afterAll(() => running.disposeAsync());

describe.each([
  ["GRPC_PORT", "grpcAddress"],
  ["HTTP_PORT", "httpAddress"],
] as const)("on %s", (_portName, port) => {
  function post(request: object): Promise<Response> {
    return fetch(`http://${app[port]}/${LOOKUP}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
    });
  }

  test.each(TRUCKS)("JSON looks up %j without vPIC", async (typed, vin, make, model, modelYear) => {
    const response = await post({ vin: typed });

    expect(await response.json()).toMatchObject({ vin, make, model, modelYear, bodyClass: "Truck-Tractor" });
  });

  test("a GET looks up", async () => {
    const message = encodeURIComponent(JSON.stringify({ vin: VIN }));

    const response = await fetch(`http://${app[port]}/${LOOKUP}?connect=v1&encoding=json&message=${message}`);

    expect(await response.json()).toMatchObject({ make: MAKE });
  });

  test("buf curl lists every service and method, including health", async () => {
    const { stdout } = await runProgram(BUF, [
      "curl",
      "--protocol",
      "grpc",
      "--http2-prior-knowledge",
      "--list-methods",
      `http://${app[port]}`,
    ]);

    expect(stdout.split("\n")).toEqual(
      expect.arrayContaining([
        "grpc.health.v1.Health/Check",
        "grpc.health.v1.Health/List",
        "grpc.health.v1.Health/Watch",
        "vehicle.v1.VehicleService/BatchLookup",
        "vehicle.v1.VehicleService/Export",
        "vehicle.v1.VehicleService/Lookup",
        "vehicle.v1.VehicleService/Remove",
      ]),
    );
  });

  test("/healthz answers 200", async () => {
    const response = await fetch(`http://${app[port]}/healthz`);

    expect([response.status, await response.text()]).toEqual([200, `ok; version ${packageJson.version}\n`]);
  });

  test("/readyz answers 200, and the date of the snapshot's data when that is ready", async () => {
    await post({ vin: VIN });

    const response = await fetch(`http://${app[port]}/readyz`);

    expect(response.status).toBe(200);
    expect(await response.text()).toMatch(/^ready; snapshot data of \d{4}-\d{2}-\d{2}\n$/);
  });

  test.each([
    ["/healthz", `version ${packageJson.version}\n`],
    ["/status", `"version":"${packageJson.version}"`],
    ["/metrics", `vehicle_build_info{version="${packageJson.version}"} 1\n`],
  ])("%s shows the version", async (path, shown) => {
    const response = await fetch(`http://${app[port]}${path}`);

    expect(await response.text()).toContain(shown);
  });

  test("/ is a page that runs no foreign script", async () => {
    const response = await fetch(`http://${app[port]}/`);

    expect(await response.text()).toContain("<title>VehicleService</title>");
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  });

  test("/metrics shows the state of vPIC and the cache, and /readyz what is degraded", async () => {
    // After 5 s without an answer of vPIC, the service probes it by itself.
    await using withVpic = await startTestApp({ vpic: { respondWith: { kind: "silence" } } });
    const url = `http://${withVpic[port]}`;
    const starting = await fetch(`${url}/readyz`);
    withVpic.vpic.respondWith();
    const answered = await fetch(`${url}/${LOOKUP}?connect=v1&encoding=json&message={"vin":"1XKWDB0X57J211825"}`);
    await answered.text();
    withVpic.vpic.respondWith({ kind: "status", status: 403 });
    const readMetrics = async (): Promise<string> => await (await fetch(`${url}/metrics`)).text();
    const before = await readMetrics();
    const failed = await fetch(`${url}/${LOOKUP}?connect=v1&encoding=json&message={"vin":"${VIN}"}`);
    await failed.text();
    await expect.poll(readMetrics).toMatch(/^vehicle_vpic_breaker_open 1$/m);
    const after = await readMetrics();

    const ready = await fetch(`${url}/readyz`);

    expect([starting.status, await starting.text()]).toEqual([503, "starting: no source can answer yet\n"]);
    expect([ready.status, await ready.text()]).toEqual([200, "ready; degraded: vPIC's circuit breaker is open\n"]);
    expect(before).toMatch(/^vehicle_vpic_breaker_closed 1$/m);
    expect(after).toMatch(/^vehicle_vpic_available_requests \d+/m);
    expect(after).toMatch(/^vehicle_cache_faults_total\{operation="write"\} 0$/m);
    expect(after).toMatch(
      /^grpc_server_handled_total\{.*grpc_method="Lookup",rpc_protocol="connect",grpc_code="Unavailable"\} 1$/m,
    );
  });
});
