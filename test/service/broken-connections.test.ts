import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { RemoveRequestSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { clientOf } from "../support/clients.ts";
import { manyVins } from "../support/real-vins.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { callHeaders, data, grpcMessage, headers, OPENING } from "../torture/http2-frames.ts";

const REMOVE = "/vehicle.v1.VehicleService/Remove";
const [VIN = ""] = manyVins(1);
const TRIES = 20;
/** The longest that a connection lives before it is broken, in ms. */
const LONGEST_MS = 5;

/** One Remove as it goes over each wire. */
const REMOVES: Readonly<Record<string, { readonly bytes: Buffer; readonly addressOf: (app: TestApp) => string }>> = {
  gRPC: {
    bytes: Buffer.concat([
      OPENING,
      headers(1, callHeaders(REMOVE)),
      data(1, grpcMessage(toBinary(RemoveRequestSchema, create(RemoveRequestSchema, { vin: VIN }))), true),
    ]),
    addressOf: ({ grpcAddress }) => grpcAddress,
  },
  "HTTP/1.1": {
    bytes: httpCall(REMOVE, Buffer.from(JSON.stringify({ vin: VIN })), "application/json"),
    addressOf: ({ httpAddress }) => httpAddress,
  },
};

function httpCall(path: string, body: Uint8Array, type: string): Buffer {
  const length = `Content-Length: ${body.byteLength}`;
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n${length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** Sends bytes on a connection of its own and breaks it after a while. */
async function sendAndBreak(address: string, bytes: Buffer, afterMs: number): Promise<void> {
  const socket = connect(Number(address.split(":")[1]), "127.0.0.1");
  socket.on("error", () => {});
  socket.write(bytes);
  await pause(afterMs);
  socket.resetAndDestroy();
}

test.each(Object.entries(REMOVES))(
  "over %s, whoever removes is named, also when the connection breaks at once",
  async (_wire, { bytes, addressOf }) => {
    await using app = await startTestApp();

    for (let attempt = 0; attempt < TRIES; attempt++) {
      await sendAndBreak(addressOf(app), bytes, (attempt % LONGEST_MS) + 1);
    }
    // What has come before it is in the log by then.
    await clientOf(app).remove({ vin: VIN });

    const audits = app.logger.lines.filter(({ level }) => level === "audit");
    expect(audits.length).toBeGreaterThan(0);
    expect(new Set(audits.map(({ fields: { caller } }) => caller))).toEqual(new Set(["127.0.0.1"]));
  },
);

test("a connection that breaks while a batch is answered is nobody's error", async () => {
  await using directory = await temporaryDirectory();
  // In a process of its own, which may be writing just when the connection breaks.
  await using service = await ServiceProcess.start({
    DATA_DIR: directory.path,
    SOURCES: "snapshot",
    LOG_LEVEL: "debug",
  });
  await clientOf(service).lookup({ vin: VIN });
  const vins = manyVins(TRIES * 1_000);
  const broken = new Set(["a client left before its answer", "a request failed unexpectedly"]);
  const told = (): unknown[] => service.log.map(({ msg }) => msg).filter((msg) => broken.has(String(msg)));

  // Some are broken before they are looked at, or between two answers.
  for (let attempt = 0; attempt < TRIES && told().length === 0; attempt++) {
    const message = grpcMessage(Buffer.from(JSON.stringify({ vins: vins.splice(0, 1_000) })));
    const bytes = httpCall("/vehicle.v1.VehicleService/BatchLookup", message, "application/connect+json");
    await sendAndBreak(service.httpAddress, bytes, 60 + 40 * (attempt % 5));
    await pause(100);
  }

  expect(new Set(told())).toEqual(new Set(["a client left before its answer"]));
  expect(service.log.filter(({ level }) => level === "error")).toEqual([]);
});
