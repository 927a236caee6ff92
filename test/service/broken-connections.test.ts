import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { BatchLookupRequestSchema, RemoveRequestSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { clientOf } from "../support/clients.ts";
import { manyVins } from "../support/real-vins.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { callHeaders, data, grpcMessage, headers, OPENING } from "../support/http2-frames.ts";

const SERVICE = "/vehicle.v1.VehicleService";
const [VIN = "", SILENT_VIN = ""] = manyVins(2);
const TRIES = 20;
/** In bytes. */
const HALF_AN_ANSWER = 50_000;

const remove: MessageInitShape<typeof RemoveRequestSchema> = { vin: VIN };
/** Its last VIN is not answered, so that it does not end by itself. */
const batch: MessageInitShape<typeof BatchLookupRequestSchema> = {
  vins: [...Array.from({ length: 1_000 }, () => "malformed"), SILENT_VIN],
};

/** The same calls in each protocol, as bytes. */
const WIRES = {
  "gRPC over HTTP/2": {
    remove: grpcCall("Remove", toBinary(RemoveRequestSchema, create(RemoveRequestSchema, remove))),
    batch: grpcCall("BatchLookup", toBinary(BatchLookupRequestSchema, create(BatchLookupRequestSchema, batch))),
  },
  "Connect over HTTP/1.1": {
    remove: httpCall("Remove", Buffer.from(JSON.stringify(remove)), "application/json"),
    batch: httpCall("BatchLookup", grpcMessage(Buffer.from(JSON.stringify(batch))), "application/connect+json"),
  },
};

const CASES = (["grpcAddress", "httpAddress"] as const).flatMap((port) =>
  Object.entries(WIRES).map(([name, wire]) => [name, port, wire] as const),
);

let app: TestApp;

beforeAll(async () => {
  app = await startTestApp({
    env: { VPIC_PATIENCE: "60s" },
    vpic: { respondWith: ({ vins }) => (vins.includes(SILENT_VIN) ? { kind: "silence" } : undefined) },
  });
});

afterEach(() => {
  app.logger.lines.length = 0;
});

afterAll(() => app[Symbol.asyncDispose]());

function grpcCall(method: string, message: Uint8Array): Buffer {
  return Buffer.concat([OPENING, headers(1, callHeaders(`${SERVICE}/${method}`)), data(1, grpcMessage(message), true)]);
}

function httpCall(method: string, body: Uint8Array, type: string): Buffer {
  const length = `Content-Length: ${body.byteLength}`;
  const head = `POST ${SERVICE}/${method} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n${length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** Sends bytes on a connection of their own. */
function send(address: string, bytes: Buffer): Socket {
  const socket = connect(Number(address.split(":")[1]), "127.0.0.1");
  socket.on("error", () => {});
  socket.write(bytes);
  return socket;
}

describe.each(CASES)("%s on %s", (_name, port, wire) => {
  test("names the caller of a Remove, even when the connection breaks at once", async () => {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const socket = send(app[port], wire.remove);
      await once(socket, "connect");
      // Some break before the service has read them, some later.
      for (let turn = 0; turn < attempt; turn++) {
        await nextTurn();
      }
      socket.resetAndDestroy();
    }
    // By then, everything that arrived before it is in the log.
    await clientOf(app).remove({ vin: VIN });

    const audits = app.logger.lines.filter(({ level }) => level === "audit");
    expect(audits.length).toBeGreaterThan(0);
    expect(new Set(audits.map(({ fields: { caller } }) => caller))).toEqual(new Set(["127.0.0.1"]));
  });

  test("ends a batch as cancelled when the connection breaks in the middle of its answer", async () => {
    const socket = send(app[port], wire.batch);
    for (let bytes = 0; bytes < HALF_AN_ANSWER;) {
      const [chunk]: Buffer[] = await once(socket, "data");
      bytes += chunk?.byteLength ?? 0;
    }
    socket.resetAndDestroy();

    await expect
      .poll(() => app.logger.lines.filter(({ message }) => message === "call ended").map(({ fields }) => fields))
      .toMatchObject([{ procedure: "vehicle.v1.VehicleService/BatchLookup", code: "Canceled" }]);
    expect(app.logger.lines.filter(({ level }) => level === "error" || level === "warn")).toEqual([]);
  });
});
