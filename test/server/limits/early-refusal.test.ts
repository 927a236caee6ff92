import type { Transport } from "@connectrpc/connect";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { Health, HealthCheckResponse_ServingStatus } from "#gen/health/v1/health_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { LoadShedder } from "../../../src/access/load-shedder.ts";
import { createOverloadRefusal } from "../../../src/rpc/overload-refusal.ts";
import type { RunningListener } from "../../../src/server/running-listener.ts";
import { startEchoGrpc, startEchoHttp } from "../../support/echo-server.ts";
import { MemoryLogger } from "../../support/memory-logger.ts";

const stack = new AsyncDisposableStack();
let shedder: LoadShedder;
let grpc: RunningListener;
let http: RunningListener;

beforeAll(async () => {
  const handlers = {
    lookup: ({ vin }: { vin: string }) => ({ vin }),
    async *batchLookup({ vins }: { vins: string[] }) {
      yield* vins.map((vin, index) => ({ vin, index }));
    },
  };
  const refusal = () => createOverloadRefusal(shedder, new MemoryLogger());
  grpc = stack.use(await startEchoGrpc(handlers, { refuseEarly: () => refusal().overGrpc() }));
  http = stack.use(
    await startEchoHttp(
      handlers,
      { refuseEarly: (contentType) => refusal().overHttp(contentType) },
      { "GET /healthz": (_request, response) => void response.end("ok") },
    ),
  );
});

beforeEach(() => {
  // Once overloaded, the turn of the event loop never ends, and is over after the first call.
  shedder = new LoadShedder({ maxTurnMs: 0, atEndOfTurn: () => {} });
});

afterAll(() => stack[Symbol.asyncDispose]());

/** Makes the shedder believe that the event loop has been late for a second while calls came. */
function overload(): void {
  for (let look = 0; look < 10; look++) {
    for (let call = 0; call < 10; call++) {
      shedder.refuses();
    }
    shedder.observe(100);
  }
}

function recover(): void {
  for (let look = 0; look < 100; look++) {
    shedder.observe(0);
  }
}

const OVERLOADED = { code: Code.ResourceExhausted, reasons: ["OVERLOADED"], retryAfterS: [1n] };

const transports: Record<string, () => Transport> = {
  gRPC: () => createGrpcTransport({ baseUrl: `http://${grpc.address}` }),
  "gRPC-Web": () => createGrpcWebTransport({ baseUrl: `http://${http.address}`, httpVersion: "1.1" }),
  Connect: () => createConnectTransport({ baseUrl: `http://${http.address}`, httpVersion: "1.1" }),
  "Connect by GET": () =>
    createConnectTransport({ baseUrl: `http://${http.address}`, httpVersion: "1.1", useHttpGet: true }),
};

describe.each(Object.entries(transports))("under overload, %s", (_name, transportOf) => {
  test("has a call refused early with its code and details, and is answered afterwards", async () => {
    const vehicles = createClient(VehicleService, transportOf());
    overload();

    const refused = await vehicles.lookup({ vin: "1" }).catch((error: unknown) => error);
    recover();
    const after = await vehicles.lookup({ vin: "2" });

    expect(tellOf(refused)).toEqual(OVERLOADED);
    expect(after.vin).toBe("2");
  });

  test("has a stream refused early with its code and details", async () => {
    const vehicles = createClient(VehicleService, transportOf());
    overload();

    const refused = await Array.fromAsync(vehicles.batchLookup({ vins: ["1"] })).catch((error: unknown) => error);

    expect(tellOf(refused)).toEqual(OVERLOADED);
  });
});

test("health is answered under overload on both ports", async () => {
  overload();

  const transport = createGrpcTransport({ baseUrl: `http://${grpc.address}` });
  const health = await createClient(Health, transport).check({});
  const healthz = await fetch(`http://${http.address}/healthz`);

  expect(health.status).toBe(HealthCheckResponse_ServingStatus.SERVING);
  expect(healthz.status).toBe(200);
});

test("a refusal over HTTP is a 429 that says when to come again", async () => {
  overload();

  const response = await fetch(`http://${http.address}/vehicle.v1.VehicleService/Lookup`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });

  expect([response.status, response.headers.get("retry-after")]).toEqual([429, "1"]);
  expect(await response.json()).toMatchObject({ code: "resource_exhausted" });
});

test("a refusal over gRPC-Web is one of gRPC-Web in whatever case the request names it", async () => {
  overload();

  const response = await fetch(`http://${http.address}/vehicle.v1.VehicleService/Lookup`, {
    method: "POST",
    headers: { "content-type": "Application/gRPC-Web+proto" },
    body: new Uint8Array(5),
  });

  expect([response.status, response.headers.get("grpc-status")]).toEqual([200, String(Code.ResourceExhausted)]);
});

function tellOf(refused: unknown): object {
  const error = ConnectError.from(refused);
  return {
    code: error.code,
    reasons: error.findDetails(ErrorInfoSchema).map(({ reason }) => reason),
    retryAfterS: error.findDetails(RetryInfoSchema).map(({ retryDelay }) => retryDelay?.seconds),
  };
}
