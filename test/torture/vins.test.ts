import { join } from "node:path";
import type { ConnectError, Transport } from "@connectrpc/connect";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { errorOf } from "../support/error-of.ts";
import type { ReceivedRequest } from "../support/fake-vpic.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";
import { HOSTILE_VINS, LOOK_ALIKES } from "./hostile-vins.ts";
import { CACHED_VIN } from "./requests.ts";

const HANG_MS = 300_000;
const INVALID_ARGUMENT: number = Code.InvalidArgument;
const COLD_VINS = ["1FUJGLDR9CSBM1234", "2NKHHM6X8FM123456", "3AKJHHDR5JSJK1234"];
const LOOKUP_QUERY = "/vehicle.v1.VehicleService/Lookup?connect=v1&encoding=json&message=";

const http1 = (baseUrl: string) => ({ baseUrl, httpVersion: "1.1" as const });
const DOORS: Readonly<Record<string, (url: string) => Transport>> = {
  gRPC: (baseUrl) => createGrpcTransport({ baseUrl }),
  "gRPC-Web": (url) => createGrpcWebTransport(http1(url)),
  Connect: (url) => createConnectTransport(http1(url)),
  "Connect with JSON": (url) => createConnectTransport({ ...http1(url), useBinaryFormat: false }),
  "Connect with GET": (url) => createConnectTransport({ ...http1(url), useHttpGet: true }),
};

describe("row 9: texts that are not VINs", { timeout: HANG_MS }, () => {
  const running = new AsyncDisposableStack();
  const written: string[] = [];
  let dataDir: string;
  let app: TestApp;
  let url: string;

  beforeAll(async () => {
    ({ path: dataDir } = running.use(await temporaryDirectory()));
    const log = createLogger("debug", { write: (line) => written.push(line) });
    const env = { DATA_DIR: dataDir, RATE_LIMIT_PER_SECOND: "1000000", RATE_LIMIT_BURST: "1000000" };
    app = running.use(await startTestApp({ env, log }));
    url = `http://${app.httpAddress}`;
  });

  afterAll(() => running.disposeAsync());

  test.each(Object.entries(DOORS))("are refused over %s, alone and in a batch", async (_name, transport) => {
    const client = createClient(VehicleService, transport(url));
    const vins = [...HOSTILE_VINS, ...LOOK_ALIKES, CACHED_VIN, ...COLD_VINS];

    const errors: ConnectError[] = [];
    for (const vin of HOSTILE_VINS) {
      errors.push(await errorOf(client.lookup({ vin })), await errorOf(client.remove({ vin })));
    }
    const batch = await Array.fromAsync(client.batchLookup({ vins }));

    expect(errors.filter((error) => !blamesVin(error))).toEqual([]);
    const refused = batch.filter(
      ({ index, result: { case: kind, value } }) =>
        kind === "error" && value.code === INVALID_ARGUMENT && value.message.startsWith(`vins[${index}]: `),
    );
    expect(refused).toHaveLength(HOSTILE_VINS.length + LOOK_ALIKES.length);
    expect(batch.filter(({ result }) => result.case === "vehicle")).toHaveLength(1 + COLD_VINS.length);
  });

  test("are refused in hand-written queries, escaped and not", async () => {
    const queries = HOSTILE_VINS.flatMap((vin) => {
      const message = JSON.stringify({ vin });
      return [encodeURIComponent(message), message.replaceAll(/[\s#%&]/g, encodeURIComponent)];
    });

    const answers = await Promise.all(
      queries.map(async (query) => {
        const response = await fetch(`${url}${LOOKUP_QUERY}${query}`);
        return { query, status: response.status, text: await response.text() };
      }),
    );

    expect(answers.filter(({ status, text }) => status !== 400 || !text.includes('"invalid_argument"'))).toEqual([]);
  });

  test("reach neither vPIC, nor the log, nor the cache", () => {
    const output = written.join("");
    // Texts that are also parts of other values prove nothing.
    const texts = [...HOSTILE_VINS, ...LOOK_ALIKES].filter((vin) => vin.length > 10 && !CACHED_VIN.includes(vin));

    expect(app.vpic.requests.length).toBeGreaterThan(0);
    expect(app.vpic.requests.filter((request) => !isOnTemplate(request))).toEqual([]);
    expect(written.length).toBeGreaterThan(HOSTILE_VINS.length);
    expect(texts.filter((vin) => output.includes(JSON.stringify(vin).slice(1, -1)))).toEqual([]);
    expect(written.every((line) => /^[ -~]+\n$/.test(line))).toBe(true);
    expect(vinsIn(join(dataDir, "vehicles.db"))).toEqual([CACHED_VIN, ...COLD_VINS].toSorted());
  });
});

function blamesVin(error: ConnectError): boolean {
  const fields = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  return error.code === Code.InvalidArgument && fields.some(({ field }) => field === "vin");
}

function isOnTemplate({ method, path, body }: ReceivedRequest): boolean {
  return method === "GET"
    ? body === "" &&
        /^\/api\/vehicles\/DecodeVinValues\/[A-HJ-NPR-Z0-9]{17}\?format=json(?:&modelyear=\d{4})?$/.test(path)
    : method === "POST" &&
        path === "/api/vehicles/DecodeVINValuesBatch/" &&
        /^format=json&data=[A-HJ-NPR-Z0-9]{17}(?:%3B[A-HJ-NPR-Z0-9]{17}(?:%2C\d{4})?)*$/.test(body);
}

/** The VINs in the cache on the disk. */
function vinsIn(path: string): string[] {
  const database = new Database(path, { readonly: true });
  const vins = database.prepare("select vin from vehicles order by vin").pluck().all().map(String);
  database.close();
  return vins;
}
