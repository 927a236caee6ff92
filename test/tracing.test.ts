import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { defaultTextMapGetter, ROOT_CONTEXT } from "@opentelemetry/api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OpenTelemetry } from "../src/telemetry/open-telemetry.ts";
import { createLogger } from "../src/telemetry/logger.ts";
import type { OpenTelemetrySettings } from "../src/telemetry/open-telemetry-settings.ts";
import { clientOf } from "./support/clients.ts";
import { errorOf } from "./support/error-of.ts";
import { eventually } from "./support/eventually.ts";
import type { ReceivedSpan } from "./support/otlp-receiver.ts";
import { OtlpReceiver } from "./support/otlp-receiver.ts";
import { portOf } from "./support/port-of.ts";
import { manyVins } from "./support/real-vins.ts";
import { ServiceProcess } from "./support/service-process.ts";
import { directoryWithSnapshot } from "./support/shared.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { silentLogger } from "./support/silent-logger.ts";
import { someMetrics } from "./support/some-metrics.ts";
import { startTestApp } from "./support/test-app.ts";

const [VIN = "", OTHER = "", THIRD = "", ...MORE] = manyVins(6);
const LOOKUP = "vehicle.v1.VehicleService/Lookup";
const GRPC = { "rpc.system.name": "grpc", "rpc.method": LOOKUP };

/** A trace that a caller has started. */
class CallersTrace {
  readonly id = randomBytes(16).toString("hex");
  readonly spanId = randomBytes(8).toString("hex");
  readonly headers: { readonly traceparent: string };

  constructor(isSampled = true) {
    this.headers = { traceparent: `00-${this.id}-${this.spanId}-${isSampled ? "01" : "00"}` };
  }

  /** The spans of this trace: first that of the call, then those of its parts in the order of their start. */
  spansOf({ spans }: OtlpReceiver): ReceivedSpan[] {
    const own = spans.filter(({ traceId }) => traceId === this.id);
    const parts = own.filter(({ kind }) => kind !== "server");
    const inOrder = parts.toSorted((one, other) => Number(one.startedNs - other.startedNs));
    return [...own.filter(({ kind }) => kind === "server"), ...inOrder];
  }
}

describe("the traces of a service", () => {
  const [cold, hit, failed, batch, exported, plain, malformed] = Array.from({ length: 7 }, () => new CallersTrace());
  const unsampled = new CallersTrace(false);
  let receiver: OtlpReceiver;
  let vpicHeaders: string[];
  let vpicUrl: string;

  beforeAll(async () => {
    receiver = await OtlpReceiver.start();
    const app = await startTestApp({
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: `${receiver.url}/` },
      // The service retries after a 503, but not after a 400.
      vpic: {
        respondWith: ({ number, vins }) =>
          number === 1 || vins.includes(OTHER) ? { kind: "status", status: number === 1 ? 503 : 400 } : undefined,
      },
    });
    vpicUrl = app.vpic.url;
    const client = clientOf(app);
    await client.lookup({ vin: VIN }, cold);
    await client.lookup({ vin: VIN }, hit);
    await errorOf(client.lookup({ vin: OTHER }, failed));
    await Array.fromAsync(client.batchLookup({ vins: [VIN, ...MORE] }, batch));
    await Array.fromAsync(client.export({}, exported));
    await (await fetch(`http://${app.httpAddress}/api/vehicles/DecodeVinValues/${VIN}?format=json`, plain)).text();
    const headers = { ...malformed?.headers, "content-type": "application/json" };
    await (await fetch(`http://${app.httpAddress}/${LOOKUP}`, { method: "POST", headers, body: "{" })).text();
    await client.lookup({ vin: VIN }, unsampled);
    await app[Symbol.asyncDispose]();
    vpicHeaders = app.vpic.requests.flatMap((request) => Object.keys(request.headers));
  }, 120_000);

  afterAll(() => receiver[Symbol.asyncDispose]());

  test("a Lookup that is not cached has spans for its parts and for each request to vPIC", () => {
    const spans = cold?.spansOf(receiver);

    expect(spans).toMatchObject([
      {
        name: LOOKUP,
        parent: cold?.spanId,
        kind: "server",
        attributes: { ...GRPC, "rpc.status_code": "OK", "vehicle.source": "vpic", "vehicle.cached": false },
        fault: undefined,
      },
      { name: "queue", parent: LOOKUP, kind: "internal" },
      { name: "cache", parent: LOOKUP, kind: "internal" },
      { name: "vpic", parent: LOOKUP, kind: "internal", fault: undefined },
      {
        name: "GET",
        parent: LOOKUP,
        kind: "client",
        attributes: {
          "http.request.method": "GET",
          "http.response.status_code": 503,
          "url.full": `${vpicUrl}/vehicles/DecodeVinValues/REDACTED?format=json`,
          "server.address": "127.0.0.1",
          "server.port": Number(new URL(vpicUrl).port),
          "error.type": "503",
        },
        fault: "vPIC answered with status 503",
      },
      { name: "GET", parent: LOOKUP, attributes: { "http.response.status_code": 200 }, fault: undefined },
    ]);
    const [server, ...parts] = spans ?? [];
    const isWithin = ({ startedNs, endedNs }: ReceivedSpan): boolean =>
      server !== undefined && server.startedNs <= startedNs && startedNs <= endedNs && endedNs <= server.endedNs;
    expect(parts.filter((part) => !isWithin(part))).toEqual([]);
  });

  test("a cached Lookup has spans only for the queue and the cache", () => {
    expect(hit?.spansOf(receiver)).toMatchObject([
      { name: LOOKUP, attributes: { "vehicle.source": "vpic", "vehicle.cached": true } },
      { name: "queue" },
      { name: "cache" },
    ]);
  });

  test("a failed Lookup has the cause in its spans", () => {
    const fault = "nothing is cached for this VIN and no source can answer now";

    expect(failed?.spansOf(receiver)).toMatchObject([
      { name: LOOKUP, attributes: { "rpc.status_code": "UNAVAILABLE", "error.type": "UNAVAILABLE" }, fault },
      { name: "queue" },
      { name: "cache" },
      { name: "vpic", fault: "vPIC did not answer: vPIC answered with status 400" },
      { name: "GET", attributes: { "error.type": "400" } },
    ]);
  });

  test("streams, exports and plain requests also have spans for their parts", () => {
    const named = (trace: CallersTrace | undefined): string[] =>
      trace?.spansOf(receiver).map(({ name, parent }) => `${name} < ${parent === trace.spanId ? "caller" : parent}`) ??
      [];
    const batchName = "vehicle.v1.VehicleService/BatchLookup";
    const exportName = "vehicle.v1.VehicleService/Export";

    expect(named(batch)).toEqual(
      expect.arrayContaining([`${batchName} < caller`, `cache < ${batchName}`, `POST < ${batchName}`]),
    );
    expect(named(exported)).toEqual([`${exportName} < caller`, `queue < ${exportName}`, `export < ${exportName}`]);
    expect(plain?.spansOf(receiver)).toMatchObject([
      {
        name: "GET /api/vehicles",
        kind: "server",
        parent: plain?.spanId,
        attributes: { "http.request.method": "GET", "http.route": "/api/vehicles", "http.response.status_code": 200 },
      },
      { name: "cache", parent: "GET /api/vehicles" },
    ]);
  });

  test("a request that cannot be read has a span, and a trace that the caller does not sample has no spans", () => {
    expect(malformed?.spansOf(receiver)).toMatchObject([
      {
        name: LOOKUP,
        parent: malformed?.spanId,
        attributes: { "rpc.system.name": "connectrpc", "rpc.status_code": "invalid_argument" },
        fault: undefined,
      },
    ]);
    expect(unsampled.spansOf(receiver)).toEqual([]);
  });

  test("requests to vPIC have no trace headers", () => {
    expect(vpicHeaders).toContain("user-agent");
    expect(vpicHeaders).not.toContain("traceparent");
    expect(vpicHeaders).not.toContain("tracestate");
  });

  test("the metrics are those of /metrics, plus the duration of calls that the conventions define", () => {
    const pointsOf = (wanted: string) => receiver.metrics.find(({ name }) => name === wanted)?.points;

    expect(pointsOf("vehicle_lookups_total")).toContainEqual({
      attributes: { result: "fresh", source: "vpic" },
      value: 4,
    });
    expect(pointsOf("grpc_server_handling_seconds")).toContainEqual({
      attributes: expect.objectContaining({ grpc_method: "Lookup", rpc_protocol: "grpc" }),
      value: 4,
    });
    expect(pointsOf("vehicle_ready")).toEqual([{ attributes: {}, value: 1 }]);
    expect(pointsOf("rpc.server.call.duration")).toEqual(
      expect.arrayContaining([
        { attributes: { ...GRPC, "rpc.status_code": "OK" }, value: 3 },
        { attributes: { ...GRPC, "rpc.status_code": "UNAVAILABLE", "error.type": "UNAVAILABLE" }, value: 1 },
        {
          attributes: { ...GRPC, "rpc.system.name": "connectrpc", "rpc.status_code": "invalid_argument" },
          value: 1,
        },
      ]),
    );
  });

  test("the resource has the name and version of the service", () => {
    expect(receiver.resource).toMatchObject({
      "service.name": "vehicle-service",
      "service.version": expect.any(String),
    });
  });
});

test("a Lookup that the snapshot answers has spans for vPIC's failure and for the snapshot", async () => {
  await using receiver = await OtlpReceiver.start();
  await using directory = await directoryWithSnapshot();
  const trace = new CallersTrace();
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    DATA_DIR: directory.path,
    SOURCES: "vpic,snapshot",
    VPIC_PATIENCE: "1h",
  };
  const app = await startTestApp({ env, vpic: { respondWith: { kind: "status", status: 400 } } });

  await clientOf(app).lookup({ vin: THIRD }, { headers: trace.headers, timeoutMs: 60_000 });
  await app[Symbol.asyncDispose]();

  expect(trace.spansOf(receiver)).toMatchObject([
    { name: LOOKUP, attributes: { "vehicle.source": "snapshot" }, fault: undefined },
    { name: "queue" },
    { name: "cache" },
    { name: "vpic", fault: expect.stringContaining("status 400") },
    { name: "GET" },
    { name: "snapshot", fault: undefined },
  ]);
});

test.each<[OpenTelemetrySettings["sampler"], boolean[]]>([
  ["always_off", [false, false, false]],
  ["traceidratio", [false, false, false]],
  ["parentbased_always_off", [false, true, false]],
  ["always_on", [true, true, true]],
  ["parentbased_always_on", [true, true, false]],
])(
  "the sampler %s records calls without a trace, with a sampled one and with another one: %j",
  async (sampler, recorded) => {
    const settings: OpenTelemetrySettings = {
      endpoint: "http://127.0.0.1:9",
      exportsTraces: true,
      exportsMetrics: false,
      sampler,
      samplerRatio: 0,
      metricIntervalMs: 60_000,
    };
    await using openTelemetry = new OpenTelemetry({
      settings,
      version: "1",
      metrics: someMetrics(),
      callAttributes: () => ({}),
      logger: silentLogger,
    });
    const { tracer, propagator, beginsTrace } = openTelemetry;
    const isRecorded = (headers: Record<string, string>): boolean => {
      const parent = propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter);
      return tracer.startSpan("x", {}, parent).isRecording();
    };

    const results = [beginsTrace() && isRecorded({}), isRecorded(new CallersTrace().headers)];

    expect([...results, isRecorded(new CallersTrace(false).headers)]).toEqual(recorded);
  },
);

test("when the collector refuses the data, the log has its status", async () => {
  const lines: Record<string, unknown>[] = [];
  const collector = createServer((_request, response) => response.writeHead(400).end());
  collector.listen(0, "127.0.0.1");
  await once(collector, "listening");
  const settings: OpenTelemetrySettings = {
    endpoint: `http://127.0.0.1:${portOf(collector)}`,
    exportsTraces: false,
    exportsMetrics: true,
    sampler: "always_off",
    samplerRatio: 0,
    metricIntervalMs: 100,
  };
  const openTelemetry = new OpenTelemetry({
    settings,
    version: "1",
    metrics: someMetrics(),
    callAttributes: () => ({}),
    logger: createLogger("info", { write: (line) => lines.push(JSON.parse(line)) }),
  });

  await eventually(() => expect(lines).not.toEqual([]));
  await openTelemetry[Symbol.asyncDispose]();
  collector.close();

  expect(lines).toMatchObject([{ level: "warn", err: { message: expect.stringContaining("Bad Request") } }]);
});

test("without an endpoint, OpenTelemetry is not loaded", async () => {
  await using directory = await temporaryDirectory();
  // Writes the URL of each loaded module to standard error.
  const script = `import { registerHooks } from "node:module";
    registerHooks({ load: (url, context, next) => (process.stderr.write(url + "\\n"), next(url, context)) });`;
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(script)}`;
  const env = { NODE_OPTIONS, DATA_DIR: directory.path, SOURCES: "vpic", VPIC_URL: "http://127.0.0.1:9" };

  await using service = await ServiceProcess.start(env);

  const packages = new Set(service.stderr.match(/(?<=\/node_modules\/)(@[\w-]+\/)?[\w.-]+/g));
  expect(packages).toContain("pino");
  // prom-client always loads the API, which does nothing by itself.
  expect([...packages].filter((name) => name.startsWith("@opentelemetry/"))).toEqual(["@opentelemetry/api"]);
});
