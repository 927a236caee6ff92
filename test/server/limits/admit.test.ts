import { once } from "node:events";
import { connect, constants } from "node:http2";

import type { Interceptor, Transport } from "@connectrpc/connect";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { Health, HealthCheckResponse_ServingStatus } from "#gen/health/v1/health_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { LoadShedder } from "../../../src/access/load-shedder.ts";
import { createAdmission, type HttpAdmission } from "../../../src/rpc/admission.ts";
import type { RunningListener } from "../../../src/server/running-listener.ts";
import { startEchoGrpc, startEchoHttp } from "../../support/echo-server.ts";
import { MemoryLogger } from "../../support/memory-logger.ts";
import { type TlsOnDisk, writeTls } from "../../support/tls-on-disk.ts";

const stack = new AsyncDisposableStack();
let shedder: LoadShedder;
/** Calls that wait under overload, for as many as there is room. */
const waiting: (() => void)[] = [];
let room = 0;
const queue = {
  get isFull(): boolean {
    return waiting.length >= room;
  },
  offer(begin: () => void): boolean {
    return !this.isFull && waiting.push(begin) > 0;
  },
};
/** The VINs of the lookups that were begun. */
const lookups: string[] = [];
let grpc: RunningListener;
let http: RunningListener;
let https: RunningListener;
let certificates: TlsOnDisk;

beforeAll(async () => {
  const handlers = {
    lookup({ vin }: { vin: string }) {
      lookups.push(vin);
      return { vin };
    },
    async *batchLookup({ vins }: { vins: string[] }) {
      yield* vins.map((vin, index) => ({ vin, index }));
    },
  };
  const admission = () =>
    createAdmission({
      shedder,
      guard: { isWelcome: (authorization) => authorization !== "Bearer stranger" },
      logger: new MemoryLogger(),
    });
  grpc = stack.use(
    await startEchoGrpc(handlers, { admission: (applicant, begin) => admission().overGrpc(applicant, begin) }),
  );
  const overHttp: HttpAdmission = (...asked) => admission().overHttp(...asked);
  http = stack.use(
    await startEchoHttp(
      handlers,
      { admission: overHttp, origins: ["https://app.example.com"] },
      { "GET /healthz": (_request, response) => void response.end("ok") },
    ),
  );
  certificates = stack.use(await writeTls());
  https = stack.use(
    await startEchoHttp(handlers, {
      admission: overHttp,
      tls: certificates.tls,
      limits: { defaults: { stallTimeoutMs: 200 } },
    }),
  );
});

beforeEach(() => {
  waiting.length = 0;
  lookups.length = 0;
  shedder = new LoadShedder({ queue });
  room = 0;
});

afterAll(() => stack[Symbol.asyncDispose]());

/** Makes the shedder believe that the event loop has been late for a second while calls came. */
function overload(): void {
  for (let look = 0; look < 10; look++) {
    for (let call = 0; call < 10; call++) {
      shedder.admits(
        () => {},
        () => true,
      );
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

/** As pages of other origins send it. */
const fromPage: Interceptor = (next) => (request) => {
  request.header.set("origin", "https://app.example.com");
  return next(request);
};

const transports: Record<string, () => Transport> = {
  gRPC: () => createGrpcTransport({ baseUrl: `http://${grpc.address}` }),
  "gRPC-Web": () => createGrpcWebTransport({ baseUrl: `http://${http.address}`, httpVersion: "1.1" }),
  Connect: () => createConnectTransport({ baseUrl: `http://${http.address}`, httpVersion: "1.1" }),
  "Connect by GET": () =>
    createConnectTransport({ baseUrl: `http://${http.address}`, httpVersion: "1.1", useHttpGet: true }),
  "Connect from a page": () =>
    createConnectTransport({ baseUrl: `http://${http.address}`, httpVersion: "1.1", interceptors: [fromPage] }),
  "Connect over HTTP/2": () =>
    createConnectTransport({
      baseUrl: `https://${https.address}`,
      httpVersion: "2",
      nodeOptions: { ca: certificates.ca },
    }),
};

describe.each(Object.entries(transports))("under overload, %s", (_name, transportOf) => {
  test("has a call answered when its turn comes", async () => {
    const vehicles = createClient(VehicleService, transportOf());
    overload();
    room = 1;

    const calling = vehicles.lookup({ vin: "1" });
    await expect.poll(() => waiting.length).toBe(1);
    const before = [...lookups];
    waiting[0]?.();
    const answer = await calling;

    expect([before, lookups, answer.vin]).toEqual([[], ["1"], "1"]);
  });

  test("has a call with an empty message answered, too", async () => {
    const vehicles = createClient(VehicleService, transportOf());
    overload();
    room = 1;

    const calling = vehicles.lookup({ vin: "" }, { timeoutMs: 5000 });
    await expect.poll(() => waiting.length).toBe(1);
    waiting[0]?.();
    const answer = await calling;

    expect([lookups, answer.vin]).toEqual([[""], ""]);
  });

  test("has a call not begun whose client left before its turn came", async () => {
    const vehicles = createClient(VehicleService, transportOf());
    const leaving = new AbortController();
    overload();
    room = 2;

    const left = vehicles.lookup({ vin: "1" }, { signal: leaving.signal }).catch((error: unknown) => error);
    await expect.poll(() => waiting.length).toBe(1);
    leaving.abort();
    await left;
    const calling = vehicles.lookup({ vin: "2" });
    await expect.poll(() => waiting.length).toBe(2);
    // The reset has come before the second call, on the same connection or as the end of its own.
    for (const begin of waiting) {
      begin();
    }
    await calling;

    expect(lookups).toEqual(["2"]);
  });

  test("has a call refused early with its code and details, and is answered afterwards", async () => {
    const vehicles = createClient(VehicleService, transportOf());
    overload();

    const refused = await vehicles.lookup({ vin: "1" }).catch((error: unknown) => error);
    recover();
    const after = await vehicles.lookup({ vin: "2" });

    expect(tellOf(refused)).toEqual(OVERLOADED);
    expect(after.vin).toBe("2");
  });

  test("has a call refused, though there is room, that would be refused for its caller anyway", async () => {
    const vehicles = createClient(VehicleService, transportOf());
    overload();
    room = 1;

    const refused = await vehicles
      .lookup({ vin: "1" }, { headers: { authorization: "Bearer stranger" } })
      .catch((error: unknown) => error);

    expect([tellOf(refused), waiting.length]).toEqual([OVERLOADED, 0]);
  });

  test("has a stream refused early with its code and details", async () => {
    const vehicles = createClient(VehicleService, transportOf());
    overload();

    const refused = await Array.fromAsync(vehicles.batchLookup({ vins: ["1"] })).catch((error: unknown) => error);

    expect(tellOf(refused)).toEqual(OVERLOADED);
  });
});

test("a call of a method that is not served is refused early over gRPC, too", async () => {
  const session = connect(`http://${grpc.address}`);
  overload();

  const stream = session.request({ ":method": "POST", ":path": "/no.such/Method", "content-type": "application/grpc" });
  const [headers]: Record<string, unknown>[] = await once(stream, "response");
  session.destroy();

  expect(headers?.["grpc-status"]).toBe(String(Code.ResourceExhausted));
});

test("a call over gRPC that waits may be reset with an error, and the listener goes on", async () => {
  const session = connect(`http://${grpc.address}`);
  const headers = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };
  overload();
  room = 1;

  const stream = session.request({ ...headers, ":path": "/vehicle.v1.VehicleService/Lookup" });
  stream.on("error", () => {});
  await expect.poll(() => waiting.length).toBe(1);
  stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  session.close();
  await once(session, "close");
  waiting[0]?.();
  recover();
  const after = await createClient(VehicleService, createGrpcTransport({ baseUrl: `http://${grpc.address}` })).lookup({
    vin: "2",
  });

  expect([after.vin, lookups]).toEqual(["2", ["2"]]);
});

test("a call over gRPC that waits and would be refused may be reset before", async () => {
  const session = connect(`http://${grpc.address}`);
  overload();
  room = 1;

  const stream = session.request({
    ":method": "POST",
    ":path": "/vehicle.v1.VehicleService/Lookup",
    "grpc-timeout": "soon",
  });
  await expect.poll(() => waiting.length).toBe(1);
  stream.close();
  session.close();
  await once(session, "close");

  expect(() => waiting[0]?.()).not.toThrow();
});

test("reflection has no place of its own under overload", async () => {
  overload();

  const session = connect(`http://${grpc.address}`);
  const stream = session.request({
    ":method": "POST",
    ":path": "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "content-type": "application/grpc",
  });
  const [headers]: Record<string, unknown>[] = await once(stream, "response");
  session.destroy();

  expect(headers?.["grpc-status"]).toBe(String(Code.ResourceExhausted));
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

test("a refusal over HTTP/2 whose client takes none of it is cut", async () => {
  const session = connect(`https://${https.address}`, { ca: certificates.ca, settings: { initialWindowSize: 0 } });
  overload();

  const stream = session.request({
    ":method": "POST",
    ":path": "/vehicle.v1.VehicleService/Lookup",
    "content-type": "application/json",
  });
  stream.on("error", () => {});
  const [headers]: Record<string, unknown>[] = await once(stream, "response");
  await once(stream, "close");
  session.destroy();

  expect([headers?.[":status"], stream.rstCode]).toEqual([429, constants.NGHTTP2_CANCEL]);
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
