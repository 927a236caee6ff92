import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import { connect, constants } from "node:http2";

import { create, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { LookupRequestSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { IncompleteRequests } from "../../../src/server/limits/incomplete-requests.ts";
import type { RunningListener } from "../../../src/server/running-listener.ts";
import { startEchoGrpc } from "../../support/echo-server.ts";
import { grpcMessage } from "../../torture/http2-frames.ts";

const LOOKUP = grpcMessage(toBinary(LookupRequestSchema, create(LookupRequestSchema, { vin: "1" })));
const MAX_INCOMPLETE_BYTES = 100_000;

let server: RunningListener;
let session: ClientHttp2Session;
let calls = 0;

beforeAll(async () => {
  server = await startEchoGrpc(
    {
      lookup({ vin }) {
        calls++;
        return { vin };
      },
    },
    { incomplete: new IncompleteRequests({ maxBytesPerAddress: MAX_INCOMPLETE_BYTES }) },
  );
  session = connect(`http://${server.address}`);
});

afterAll(async () => {
  session.destroy();
  await server[Symbol.asyncDispose]();
});

function open(headers: OutgoingHttpHeaders = {}): ClientHttp2Stream {
  const stream = session.request(
    {
      ":method": "POST",
      ":path": "/vehicle.v1.VehicleService/Lookup",
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    },
    { endStream: false },
  );
  stream.on("error", () => {});
  return stream;
}

/** The status of HTTP, and that of gRPC when there is one. */
async function outcomeOf(stream: ClientHttp2Stream): Promise<{ http: number; grpc: number | undefined }> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const outcome: { http: number; grpc: number | undefined } = { http: 0, grpc: undefined };
  const read = (headers: Record<string, unknown>): void => {
    outcome.http = Number(headers[":status"] ?? outcome.http);
    outcome.grpc = headers["grpc-status"] === undefined ? outcome.grpc : Number(headers["grpc-status"]);
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.on("close", resolve);
  stream.resume();
  await promise;
  return outcome;
}

async function callWith(headers: OutgoingHttpHeaders): Promise<{ http: number; grpc: number | undefined }> {
  const stream = open(headers);
  stream.end(LOOKUP);
  return await outcomeOf(stream);
}

test.each(["GET", "PUT", "HEAD", "DELETE", "FOO"])("%s reaches no handler", async (method) => {
  const before = calls;

  const { http } = await callWith({ ":method": method });

  expect([http, calls]).toEqual([405, before]);
});

test.each(["abc", "-1S", "1", "1S, 2S", "100000000S", "1.5S", ""])(
  "the time %j is INVALID_ARGUMENT",
  async (timeout) => {
    expect(await callWith({ "grpc-timeout": timeout })).toEqual({ http: 200, grpc: status.INVALID_ARGUMENT });
  },
);

test.each(["0n", "0H"])("a time of %s is over before the call begins", async (timeout) => {
  const before = calls;

  expect(await callWith({ "grpc-timeout": timeout })).toEqual({ http: 200, grpc: status.DEADLINE_EXCEEDED });
  expect(calls).toBe(before);
});

test.each(["2592000S", "3000000S", "99999999H", "99999999M", "5S", "10000000u"])(
  "a time of %s is long enough, and cut rather than refused",
  async (timeout) => {
    expect(await callWith({ "grpc-timeout": timeout })).toEqual({ http: 200, grpc: status.OK });
  },
);

test.each<[string, OutgoingHttpHeaders, { http: number; grpc: number | undefined }]>([
  ["a wrong method", { ":method": "GET" }, { http: 405, grpc: undefined }],
  ["no time", { "grpc-timeout": "soon" }, { http: 200, grpc: status.INVALID_ARGUMENT }],
])("a stream that is refused for %s is closed though its request never ends", async (_name, headers, refused) => {
  expect(await outcomeOf(open(headers))).toEqual(refused);
});

describe("requests that have not arrived whole", () => {
  test("are refused beyond the room there is for them, and have it back when they are gone", async () => {
    const head = Buffer.from([0, 0, 0, 0x0f, 0xa0]);
    const incomplete = Array.from({ length: 40 }, () => open());
    const outcomes = incomplete.map(outcomeOf);
    for (const stream of incomplete) {
      stream.write(Buffer.concat([head, Buffer.alloc(3_900)]));
    }

    const first = await Promise.race(outcomes);
    for (const stream of incomplete) {
      stream.close(constants.NGHTTP2_CANCEL);
    }
    const ended = await Promise.all(outcomes);
    const split = open();
    split.write(LOOKUP.subarray(0, 3));
    split.end(LOOKUP.subarray(3));

    const refused = ended.filter(({ grpc }) => grpc === status.RESOURCE_EXHAUSTED).length;
    expect(first).toEqual({ http: 200, grpc: status.RESOURCE_EXHAUSTED });
    // 25 of 3,905 bytes have room.
    expect(refused).toBeGreaterThanOrEqual(1);
    expect(refused).toBeLessThanOrEqual(15);
    expect(await outcomeOf(split)).toEqual({ http: 200, grpc: status.OK });
  });
});
