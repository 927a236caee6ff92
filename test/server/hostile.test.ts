import { once } from "node:events";
import { constants } from "node:http2";
import { connect, type Socket } from "node:net";

import { create, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { LookupRequestSchema, VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { EchoClient } from "../support/echo-client.ts";
import { EchoHttp2, frame } from "../support/echo-http2.ts";
import { startEchoGrpc, startEchoHttp } from "../support/echo-server.ts";

const { lookup } = VehicleService.method;
const lookupPath = "/vehicle.v1.VehicleService/Lookup";
const unlimited = { maxNewPerAddress: Infinity, maxOpenPerAddress: Infinity };
const valid = toBinary(LookupRequestSchema, create(LookupRequestSchema, { vin: "1XPWD40X1ED215307" }));

function open(address: string): Socket {
  const socket = connect(Number(address.split(":")[1]), "127.0.0.1");
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

describe("the gRPC listener under attack", () => {
  test("has an untouched call of this test understood", async () => {
    let vin = "";
    await using server = await startEchoGrpc({ lookup: (request) => ({ vin: (vin = request.vin) }) });
    const socket = open(server.address);

    socket.write(connectionBytes());

    await expect.poll(() => vin).toBe("1XPWD40X1ED215307");
    socket.destroy();
  });

  test("goes on serving after 500 connections with mutated bytes", async () => {
    await using server = await startEchoGrpc({ lookup: () => ({}) }, { connections: unlimited });
    using honest = new EchoClient(server.address);

    await fc.assert(
      fc.asyncProperty(mutations, async (changes) => {
        const socket = open(server.address);
        socket.end(mutate(connectionBytes(), changes));
        await once(socket, "close");
      }),
      { numRuns: 500, seed: 1 },
    );

    expect((await honest.unary(lookup, {})).status.code).toBe(status.OK);
  });

  test.each([
    ["an unknown method", callHeaders("/none.Service/None")],
    ["a content type of its own", callHeaders(lookupPath, "text/plain")],
    ["a call", callHeaders(lookupPath)],
  ])("survives a connection that breaks right after %s", async (_what, headers) => {
    await using server = await startEchoGrpc({ lookup: () => ({}) }, { connections: unlimited });
    using honest = new EchoClient(server.address);

    for (let count = 0; count < 50; count++) {
      const socket = open(server.address);
      // The frame for stream 0 that may not be there makes the server end the connection at once.
      socket.end(Buffer.concat([preface, h2frame(4, 0, 0), h2frame(1, 5, 1, headers), h2frame(0, 0, 0)]));
      await once(socket, "close");
    }

    expect((await honest.unary(lookup, {})).status.code).toBe(status.OK);
  });

  test("answers every mutated message with a status", async () => {
    await using server = await startEchoGrpc({ lookup: (request) => ({ vin: request.vin }) });
    using client = new EchoClient(server.address);

    await fc.assert(
      fc.asyncProperty(mutations, async (changes) => {
        const seen = await client.unary(lookup, {}, { bytes: mutate(Buffer.from(valid), changes) });

        expect([status.OK, status.INVALID_ARGUMENT]).toContain(seen.status.code);
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  test("closes a connection that opens and resets streams as fast as it can, and serves others meanwhile", async () => {
    await using server = await startEchoGrpc({ lookup: () => ({}) });
    using attacker = new EchoHttp2(server.address);
    using honest = new EchoClient(server.address);
    await once(attacker.session, "connect");
    const ended = new Promise<void>((resolve) => {
      attacker.session.once("close", resolve);
    });
    for (let count = 0; count < 5000; count++) {
      if (attacker.session.destroyed || attacker.session.closed) {
        break;
      }
      attacker.open(lookupPath).close(constants.NGHTTP2_CANCEL);
    }
    const startedAt = Date.now();

    const seen = await honest.unary(lookup, {});

    expect(seen.status.code).toBe(status.OK);
    expect(Date.now() - startedAt).toBeLessThan(5000);
    await ended;
  });
});

describe("the HTTP listener under attack", () => {
  test("answers every mutated message with 200 or 400", async () => {
    await using server = await startEchoHttp({ lookup: (request) => ({ vin: request.vin }) });

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
      { numRuns: 300, seed: 1 },
    );
  });

  test("goes on serving after 500 connections with mutated bytes", async () => {
    await using server = await startEchoHttp({ lookup: () => ({}) }, { connections: unlimited });
    const request = Buffer.from(
      `POST ${lookupPath} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnect-Timeout-Ms: 100\r\nConnection: close\r\nContent-Length: 11\r\n\r\n{"vin":"a"}`,
    );

    await fc.assert(
      fc.asyncProperty(mutations, async (changes) => {
        const socket = open(server.address);
        socket.end(mutate(request, changes));
        await once(socket, "close");
      }),
      { numRuns: 500, seed: 1 },
    );

    const response = await fetch(`http://${server.address}/`);
    expect(response.status).toBe(404);
  });
});
