import { once } from "node:events";
import { constants } from "node:http2";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { LookupRequestSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { EchoHttp2, frame } from "../support/echo-http2.ts";
import type { TestServer } from "../support/test-server.ts";
import { serveVehicles, startTestServer } from "../support/test-server.ts";

// Many calls, and perhaps a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const lookupPath = "/vehicle.v1.VehicleService/Lookup";
const valid = toBinary(LookupRequestSchema, create(LookupRequestSchema, { vin: "1XPWD40X1ED215307" }));

let server: TestServer;
let honest: EchoHttp2;
let lastVin = "";

beforeAll(async () => {
  const lookup = ({ vin }: { readonly vin: string }) => ({ vin: (lastVin = vin) });
  server = await startTestServer(serveVehicles({ lookup }));
  honest = new EchoHttp2(server.address);
});

afterAll(async () => {
  honest[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

/** Waits until nothing is left of those who have gone; gives whether others are served. */
async function isUnharmed(): Promise<boolean> {
  await vi.waitFor(() => {
    if (server.server.calls.inFlight > 0) {
      throw new Error("calls are left");
    }
  }, 20_000);
  const { status: code } = await honest.call(lookupPath, frame(valid));
  return code === status.OK;
}

function open(): Socket {
  const socket = connect(Number(server.address.split(":")[1]), "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  return socket;
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

function h2frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.byteLength, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header as HPACK writes one that it has not seen before. */
function literal(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
}

function callHeaders(path: string, type = "application/grpc"): Buffer {
  return Buffer.concat([
    literal(":method", "POST"),
    literal(":scheme", "http"),
    literal(":path", path),
    literal(":authority", "a"),
    literal("te", "trailers"),
    literal("content-type", type),
    literal("grpc-timeout", "1S"),
    literal("x-bytes-bin", "AAEC"),
  ]);
}

/** The HTTP/2 frames of a connection's start and of one call, as a client sends them. */
function connectionBytes(): Buffer {
  return Buffer.concat([
    preface,
    h2frame(4, 0, 0),
    h2frame(1, 4, 1, callHeaders(lookupPath)),
    h2frame(0, 1, 1, frame(valid)),
  ]);
}

const mutations = fc.array(fc.record({ at: fc.nat(), byte: fc.nat(255) }), { minLength: 1, maxLength: 6 });

function mutate(bytes: Buffer, changes: readonly { at: number; byte: number }[], from = 0): Buffer {
  const mutated = Buffer.from(bytes);
  for (const { at, byte } of changes) {
    mutated[from + (at % (bytes.byteLength - from))] = byte;
  }
  return mutated;
}

describe("over HTTP/2", () => {
  test("an untouched call of these tests is understood", async () => {
    lastVin = "";
    const socket = open();

    socket.write(connectionBytes());

    await vi.waitFor(() => expect(lastVin).toBe("1XPWD40X1ED215307"), 20_000);
    socket.destroy();
  });

  test("connections with mutated bytes harm nobody", async () => {
    await fc.assert(
      fc.asyncProperty(mutations, async (changes) => {
        const socket = open();
        socket.end(mutate(connectionBytes(), changes));
        await once(socket, "close");
      }),
      { numRuns: 300, seed: 1 },
    );

    expect(await isUnharmed()).toBe(true);
  });

  test.each([
    ["an unknown method", callHeaders("/none.Service/None")],
    ["a content type of its own", callHeaders(lookupPath, "text/plain")],
    ["gRPC-Web", callHeaders(lookupPath, "application/grpc-web+proto")],
    ["a call", callHeaders(lookupPath)],
  ])("connections that break right after %s harm nobody", async (_what, headers) => {
    for (let count = 0; count < 50; count++) {
      const socket = open();
      // The frame for stream 0 that may not be there makes the server end the connection at once.
      socket.end(Buffer.concat([preface, h2frame(4, 0, 0), h2frame(1, 5, 1, headers), h2frame(0, 0, 0)]));
      await once(socket, "close");
    }

    expect(await isUnharmed()).toBe(true);
  });

  test("every mutated message is answered with a status", async () => {
    await fc.assert(
      fc.asyncProperty(mutations, async (changes) => {
        const answer = await honest.call(lookupPath, frame(mutate(Buffer.from(valid), changes)));

        expect([status.OK, status.INVALID_ARGUMENT]).toContain(answer.status);
      }),
      { numRuns: 300, seed: 1 },
    );

    expect(await isUnharmed()).toBe(true);
  });

  test("every mutated frame is answered with a status", async () => {
    const known = [
      status.OK,
      status.INVALID_ARGUMENT,
      status.UNIMPLEMENTED,
      status.INTERNAL,
      status.RESOURCE_EXHAUSTED,
    ];

    await fc.assert(
      fc.asyncProperty(mutations, async (changes) => {
        const answer = await honest.call(lookupPath, mutate(frame(valid), changes));

        expect(known).toContain(answer.status);
      }),
      { numRuns: 300, seed: 1 },
    );

    expect(await isUnharmed()).toBe(true);
  });

  test("calls that are sent, left and broken off in any order leave nothing behind", async () => {
    const fate = fc.constantFrom("answered", "half sent", "reset", "left", "reset after it was sent");

    await fc.assert(
      fc.asyncProperty(fc.array(fate, { maxLength: 20 }), async (fates) => {
        const before = server.ended.length;
        const client = new EchoHttp2(server.address);
        const streams = fates.map((each) => {
          const stream = client.open(lookupPath);
          stream.resume();
          if (each === "answered" || each === "reset after it was sent") {
            stream.end(frame(valid));
          } else if (each === "half sent" || each === "reset") {
            stream.write(frame(valid).subarray(0, 7));
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
        client[Symbol.dispose]();

        await vi.waitFor(() => expect(server.server.calls.inFlight).toBe(0), 20_000);
        const ended = server.ended.slice(before);
        expect(ended.length).toBeLessThanOrEqual(fates.length);
        expect(ended.filter(({ code }) => code === undefined).length).toBeGreaterThanOrEqual(answered.length);
        expect(new Set(ended).size).toBe(ended.length);
      }),
      { numRuns: 50, seed: 1 },
    );
  });

  test("a connection that opens and resets streams as fast as it can is closed", async () => {
    using attacker = new EchoHttp2(server.address);
    await once(attacker.session, "connect");
    const ended = new Promise<void>((resolve) => {
      attacker.session.once("close", resolve);
    });
    for (let count = 0; count < 5_000; count++) {
      if (attacker.session.destroyed || attacker.session.closed) {
        break;
      }
      attacker.open(lookupPath).close(constants.NGHTTP2_CANCEL);
    }

    await ended;

    expect(await isUnharmed()).toBe(true);
  });

  // Some are refused by HTTP/2 itself.
  test.each(["a b", "[", "%", "a:b:c", "<>", "", "\u00FF", "a@b", "#"])(
    "a call for the authority %j is served or reset, and harms nobody",
    async (authority) => {
      const answer = await honest.call(lookupPath, frame(valid), { ":authority": authority });

      expect([status.OK, undefined]).toContain(answer.status);
      expect(await isUnharmed()).toBe(true);
    },
  );
});

describe("over HTTP/1.1", () => {
  test("every mutated message is answered with 200 or 400", async () => {
    await fc.assert(
      fc.asyncProperty(mutations, async (changes) => {
        const response = await fetch(`http://${server.address}${lookupPath}`, {
          method: "POST",
          headers: { "content-type": "application/proto" },
          body: mutate(Buffer.from(valid), changes),
        });
        await response.arrayBuffer();

        expect([200, 400]).toContain(response.status);
      }),
      { numRuns: 200, seed: 1 },
    );

    expect(await isUnharmed()).toBe(true);
  });

  test("connections with mutated bytes harm nobody", async () => {
    const request = Buffer.from(
      `POST ${lookupPath} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnect-Timeout-Ms: 100\r\nConnection: close\r\nContent-Length: 11\r\n\r\n{"vin":"a"}`,
    );

    await fc.assert(
      fc.asyncProperty(mutations, async (changes) => {
        const socket = open();
        socket.end(mutate(request, changes));
        await once(socket, "close");
      }),
      { numRuns: 300, seed: 1 },
    );

    expect(await isUnharmed()).toBe(true);
  });
});
