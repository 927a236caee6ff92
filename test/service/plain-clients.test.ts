import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";

const BUF = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));
const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const LOOKUP = "vehicle.v1.VehicleService/Lookup";
const run = promisify(execFile);

/** The five VINs that every new user tries, with vPIC's answers. */
const TRUCKS = [
  ["1xpwd40x1ed215307 ", "1XPWD40X1ED215307", "PETERBILT", "388", "2014"],
  ["1XKWDB0X57J211825", "1XKWDB0X57J211825", "KENWORTH", "W9 Series", "2007"],
  ["1XP5DB9X7YN526158", "1XP5DB9X7YN526158", "PETERBILT", "379", "2000"],
  ["4V4NC9EJXEN171694", "4V4NC9EJXEN171694", "VOLVO TRUCK", "VNL", "2014"],
  ["1XP5DB9X7XD487964", "1XP5DB9X7XD487964", "PETERBILT", "379", "1999"],
] as const;

let app: TestApp;

beforeAll(async () => {
  app = await startTestApp({ env: { SOURCES: "snapshot" } });
});

afterAll(async () => {
  await app[Symbol.asyncDispose]();
});

/** Each way to call Lookup from a command line, as arguments of buf. */
const BUF_WAYS = {
  grpc: () => ["--protocol", "grpc", "--http2-prior-knowledge", `http://${app.grpcAddress}/${LOOKUP}`],
  connect: () => ["--protocol", "connect", "--schema", "proto", `http://${app.httpAddress}/${LOOKUP}`],
  grpcweb: () => ["--protocol", "grpcweb", "--schema", "proto", `http://${app.httpAddress}/${LOOKUP}`],
} as const;

async function bufCurl(way: keyof typeof BUF_WAYS, request: object): Promise<unknown> {
  const { stdout } = await run(BUF, ["curl", "-d", JSON.stringify(request), ...BUF_WAYS[way]()], { cwd: PROJECT });
  return JSON.parse(stdout);
}

describe("buf curl", () => {
  test.each(TRUCKS)("looks up %j over gRPC, by reflection", async (typed, vin, make, model, modelYear) => {
    const vehicle = await bufCurl("grpc", { vin: typed });
    const again = await bufCurl("grpc", { vin: typed });

    expect(vehicle).toMatchObject({ vin, make, model, modelYear, bodyClass: "Truck-Tractor" });
    expect(vehicle).not.toHaveProperty("cached");
    expect(again).toEqual(Object.assign({}, vehicle, { cached: true }));
  });

  test.each(["connect", "grpcweb"] as const)("looks up over %s", async (way) => {
    const vehicle = await bufCurl(way, { vin: "1XPWD40X1ED215307", view: "VIEW_FULL" });

    expect(vehicle).toMatchObject({ make: "PETERBILT", attributes: { Manufacturer: expect.any(String) } });
  });

  test("lists every service and method, health's too", async () => {
    const { stdout } = await run(BUF, [
      "curl",
      "--protocol",
      "grpc",
      "--http2-prior-knowledge",
      "--list-methods",
      `http://${app.grpcAddress}`,
    ]);

    expect(stdout.split("\n")).toEqual(
      expect.arrayContaining([
        "grpc.health.v1.Health/Check",
        "grpc.health.v1.Health/Watch",
        "vehicle.v1.VehicleService/BatchLookup",
        "vehicle.v1.VehicleService/Export",
        "vehicle.v1.VehicleService/Lookup",
        "vehicle.v1.VehicleService/Remove",
      ]),
    );
  });
});

describe("plain HTTP", () => {
  test("looks up with JSON", async () => {
    const response = await fetch(`http://${app.httpAddress}/${LOOKUP}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"vin": "1XPWD40X1ED215307"}',
    });

    expect(await response.json()).toMatchObject({ vin: "1XPWD40X1ED215307", make: "PETERBILT", model: "388" });
  });

  test("looks up with a GET", async () => {
    const message = encodeURIComponent('{"vin":"1XPWD40X1ED215307"}');

    const response = await fetch(`http://${app.httpAddress}/${LOOKUP}?connect=v1&encoding=json&message=${message}`);

    expect(await response.json()).toMatchObject({ model: "388" });
  });

  test.each([
    ["/healthz", 200, "ok\n"],
    ["/readyz", 200, "ready\n"],
  ])("%s answers %d", async (path, status, body) => {
    const response = await fetch(`http://${app.httpAddress}${path}`);

    expect([response.status, await response.text()]).toEqual([status, body]);
  });

  test("/metrics tells how vPIC and the cache do, and /readyz what is out of order", async () => {
    await using withVpic = await startTestApp({ vpic: { respondWith: { kind: "status", status: 403 } } });
    const url = `http://${withVpic.httpAddress}/metrics`;
    const before = await (await fetch(url)).text();
    await fetch(`http://${withVpic.httpAddress}/${LOOKUP}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"vin": "1XPWD40X1ED215307"}',
    });
    const tellAfter = async (): Promise<string> => await (await fetch(url)).text();
    await expect.poll(tellAfter).toMatch(/^vehicle_vpic_breaker_open 1$/m);
    const after = await tellAfter();

    const ready = await fetch(`http://${withVpic.httpAddress}/readyz`);

    expect([ready.status, await ready.text()]).toEqual([200, "ready; vPIC's circuit breaker is open\n"]);
    expect(before).toMatch(/^vehicle_vpic_breaker_closed 1$/m);
    expect(after).toMatch(/^vehicle_vpic_available_requests \d+/m);
    expect(after).toMatch(/^vehicle_cache_write_faults 0$/m);
  });

  test("/ is a page that names the date of the data and runs no foreign script", async () => {
    const response = await fetch(`http://${app.httpAddress}/`);

    expect(await response.text()).toMatch(/data to \d{4}-\d{2}-\d{2}/);
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  });
});
