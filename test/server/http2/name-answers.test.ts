import { once } from "node:events";
import { type IncomingHttpHeaders, sensitiveHeaders } from "node:http2";

import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";

import type { RunningListener } from "../../../src/server/running-listener.ts";
import { EchoHttp2, frame } from "../../support/echo-http2.ts";
import { startEchoGrpc } from "../../support/echo-server.ts";

const LOOKUP = "/vehicle.v1.VehicleService/Lookup";
const BATCH = "/vehicle.v1.VehicleService/BatchLookup";

let server: RunningListener;
let overloaded: RunningListener;

beforeAll(async () => {
  server = await startEchoGrpc(
    {
      lookup: async ({ vin }, { signal }) => (vin === "" ? {} : await once(signal, "abort").then(() => ({}))),
      async *batchLookup(_request, { signal }) {
        yield {};
        await once(signal, "abort");
      },
    },
    { arrivalTimeoutMs: 500 },
  );
  overloaded = await startEchoGrpc({}, { admission: () => [":status", "200", "grpc-status", "8"] });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await overloaded[Symbol.asyncDispose]();
});

interface Call {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Undefined for a request that never comes. */
  readonly body: Uint8Array | undefined;
}

/** The headers and trailers that end a call. */
async function headersOf(address: string, { path, headers = {}, body }: Call): Promise<IncomingHttpHeaders> {
  using client = new EchoHttp2(address);
  const stream = client.open(path, headers);
  if (body !== undefined) {
    stream.end(body);
  }
  let told: IncomingHttpHeaders = {};
  const read = (more: IncomingHttpHeaders): void => {
    told = { ...told, ...more, [sensitiveHeaders]: [...unlisted(told), ...unlisted(more)] };
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.resume();
  await once(stream, "close");
  return told;
}

/** The names of headers that were not to be put into the connection's table. */
function unlisted(headers: IncomingHttpHeaders): readonly string[] {
  return Reflect.get(headers, sensitiveHeaders) ?? [];
}

const hang = frame(Buffer.from([0x0a, 1, 0x41]));
const NOT_GZIP = Buffer.from([1, 0, 0, 0, 2, 1, 2]);
const CLAIM = Buffer.from([0, 255, 255, 255, 255]);

test.each<[string, Call, string]>([
  ["an answer", { path: LOOKUP, body: frame() }, "grpc-status 0"],
  ["an unknown method", { path: "/a.B/C", body: frame() }, `grpc-status ${status.UNIMPLEMENTED}`],
  ["another content type", { path: LOOKUP, headers: { "content-type": "text/html" }, body: frame() }, ":status 415"],
  ["another method", { path: LOOKUP, headers: { ":method": "PUT" }, body: frame() }, ":status 405"],
  ["no timeout", { path: LOOKUP, headers: { "grpc-timeout": "soon" }, body: frame() }, "grpc-status 3"],
  ["a claim of 4 GiB", { path: LOOKUP, body: CLAIM }, `grpc-status ${status.RESOURCE_EXHAUSTED}`],
  ["no gzip", { path: LOOKUP, headers: { "grpc-encoding": "gzip" }, body: NOT_GZIP }, "grpc-status 13"],
  ["an unknown encoding", { path: LOOKUP, headers: { "grpc-encoding": "x" }, body: NOT_GZIP }, "grpc-status 12"],
  ["no message", { path: LOOKUP, body: Buffer.alloc(0) }, `grpc-status ${status.UNIMPLEMENTED}`],
  ["two messages", { path: LOOKUP, body: Buffer.concat([frame(), frame()]) }, `grpc-status ${status.UNIMPLEMENTED}`],
  ["deflate", { path: LOOKUP, headers: { "grpc-encoding": "deflate" }, body: NOT_GZIP }, "grpc-status 12"],
  ["the deadline", { path: LOOKUP, headers: { "grpc-timeout": "100m" }, body: hang }, "grpc-status 4"],
  ["the deadline in a stream", { path: BATCH, headers: { "grpc-timeout": "100m" }, body: frame() }, "grpc-status 4"],
  ["no request", { path: LOOKUP, body: undefined }, "grpc-status 4"],
  ["health", { path: "/grpc.health.v1.Health/Check", body: frame() }, "grpc-status 0"],
])("an answer of gRPC names its request: %s", async (_what, call, outcome) => {
  const named = await headersOf(server.address, { ...call, headers: { ...call.headers, "x-request-id": "mine" } });
  const unnamed = await headersOf(server.address, { ...call, headers: { ...call.headers, "x-request-id": "a b" } });

  const [header = "", value] = outcome.split(" ");
  expect(String(named[header])).toBe(value);
  expect(named["x-request-id"]).toBe("mine");
  expect(unnamed["x-request-id"]).toMatch(/^[\da-f-]{36}$/);
  // Otherwise the table of headers were full of ids that never come again.
  expect(unlisted(named)).toContain("x-request-id");
});

test("an answer of gRPC offers gzip and nothing else", async () => {
  const calls: readonly Call[] = [
    { path: LOOKUP, body: frame() },
    { path: LOOKUP, headers: { "grpc-encoding": "deflate" }, body: NOT_GZIP },
    { path: "/grpc.health.v1.Health/Check", body: frame() },
  ];

  for (const call of calls) {
    await expect(headersOf(server.address, call)).resolves.toMatchObject({ "grpc-accept-encoding": "identity,gzip" });
  }
});

test("a refusal under overload names its request", async () => {
  const told = await headersOf(overloaded.address, {
    path: LOOKUP,
    headers: { "x-request-id": "mine" },
    body: frame(),
  });

  expect(told).toMatchObject({ "grpc-status": "8", "x-request-id": "mine" });
  expect(unlisted(told)).toContain("x-request-id");
});
