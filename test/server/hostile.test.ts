import { once } from "node:events";
import { constants } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import * as fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { LookupRequestSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { EchoHttp2, frame } from "../support/echo-http2.ts";
import { eventually } from "../support/eventually.ts";
import { callHeaders, data, headers, OPENING } from "../support/http2-frames.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { serveVehicles, startTestServer } from "../support/test-server.ts";

const LOOKUP = "/vehicle.v1.VehicleService/Lookup";
const VALID = Buffer.from(toBinary(LookupRequestSchema, create(LookupRequestSchema, { vin: "1XPWD40X1ED215307" })));

const server = await startTestServer(serveVehicles({ lookup: ({ vin }) => ({ vin }) }));
const client = new EchoHttp2(server.address);

afterAll(async () => {
  client[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

test.each([
  ["an unknown method", callHeaders("/none.Service/None")],
  ["an unknown content type", callHeaders(LOOKUP, "a", "1S", "text/plain")],
  ["gRPC-Web", callHeaders(LOOKUP, "a", "1S", "application/grpc-web+proto")],
  ["a call", callHeaders(LOOKUP)],
])("connections that break right after %s leave nothing behind", async (_what, call) => {
  for (let count = 0; count < 20; count++) {
    using connection = await RawConnection.open(server.address);
    // DATA frames are not allowed on stream 0, so the server ends the connection at once.
    const broken = Buffer.concat([OPENING, headers(1, call), data(0, Buffer.alloc(0), false)]);
    connection.read().socket.end(broken);
    expect(await connection.closed(60_000)).toBeLessThan(Infinity);
  }

  await eventually(() => expect(server.server.calls.inFlight).toBe(0));
  expect((await client.call(LOOKUP, frame(VALID))).status).toBe(status.OK);
});

test("calls that are sent, left and aborted in any order leave nothing behind", async () => {
  const fate = fc.constantFrom("answered", "half sent", "reset", "left", "reset after it was sent");

  await fc.assert(
    fc.asyncProperty(fc.array(fate, { maxLength: 20 }), async (fates) => {
      const before = server.ended.length;
      const other = new EchoHttp2(server.address);
      const streams = fates.map((each) => {
        const stream = other.open(LOOKUP);
        stream.resume();
        if (each === "answered" || each === "reset after it was sent") {
          stream.end(frame(VALID));
        } else if (each === "half sent" || each === "reset") {
          stream.write(frame(VALID).subarray(0, 7));
        }
        return stream;
      });
      const answered = streams.filter((_stream, index) => fates[index] === "answered");
      for (const [index, stream] of streams.entries()) {
        if (fates[index]?.startsWith("reset") === true) {
          stream.close(constants.NGHTTP2_CANCEL);
        }
      }
      await Promise.all(answered.map(async (stream) => stream.closed || (await once(stream, "close"))));
      other[Symbol.dispose]();

      await eventually(() => expect(server.server.calls.inFlight).toBe(0));
      const ended = server.ended.slice(before);
      expect(ended.length).toBeLessThanOrEqual(fates.length);
      expect(ended.filter(({ code }) => code === undefined).length).toBeGreaterThanOrEqual(answered.length);
      expect(new Set(ended).size).toBe(ended.length);
    }),
    { numRuns: 50, seed: 1 },
  );
});
