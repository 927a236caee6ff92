// The servers that the service is compared with. Receives the kind as a message, and answers with the address.

import { createServer as createHttpServer } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import { createServer as createHttp2Server } from "node:http2";
import { once } from "node:events";
import type { Server as NetServer } from "node:net";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { sendUnaryData, ServerUnaryCall } from "@grpc/grpc-js";
import { Server, ServerCredentials } from "@grpc/grpc-js";

import type { LookupRequest, LookupResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { LookupRequestSchema, LookupResponseSchema, VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { grpcMessage } from "../../support/http2-frames.ts";
import { portOf } from "../../support/port-of.ts";
import { CACHED_VIN, LOOKUP_PATH } from "./requests.ts";
import type { YardstickAddress, YardstickKind } from "./yardstick.ts";

const HOST = "127.0.0.1";
const ANSWER = { make: "PETERBILT", model: "388", modelYear: "2014", bodyClass: "Truck-Tractor", cached: true };

const START: Readonly<Record<YardstickKind, () => Promise<number>>> = {
  "grpc-js": startGrpcJs,
  "connect-node": startConnectNode,
  "node:http2": startHttp2,
  "node:http": startHttp,
};

process.on("message", ({ kind }: { readonly kind: YardstickKind }) => {
  void START[kind]().then((port) => process.send?.({ address: `${HOST}:${port}` } satisfies YardstickAddress));
});
process.on("disconnect", () => process.exit());

/** Decodes the request and encodes a constant answer, as every gRPC server must. */
function startGrpcJs(): Promise<number> {
  const server = new Server();
  const lookup = {
    path: LOOKUP_PATH,
    requestStream: false,
    responseStream: false,
    requestSerialize: (message: LookupRequest) => Buffer.from(toBinary(LookupRequestSchema, message)),
    requestDeserialize: (bytes: Buffer) => fromBinary(LookupRequestSchema, bytes),
    responseSerialize: (message: LookupResponse) => Buffer.from(toBinary(LookupResponseSchema, message)),
    responseDeserialize: (bytes: Buffer) => fromBinary(LookupResponseSchema, bytes),
  } as const;
  server.addService(
    { lookup },
    {
      lookup(call: ServerUnaryCall<LookupRequest, LookupResponse>, respond: sendUnaryData<LookupResponse>) {
        respond(null, create(LookupResponseSchema, { vin: call.request.vin, ...ANSWER }));
      },
    },
  );
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync(`${HOST}:0`, ServerCredentials.createInsecure(), (error, port) =>
    error === null ? resolve(port) : reject(error),
  );
  return promise;
}

/** The same with Connect's own server over HTTP/1.1. */
async function startConnectNode(): Promise<number> {
  const server = createHttpServer(
    connectNodeAdapter({
      routes: (router) =>
        router.rpc(VehicleService.method.lookup, ({ vin }) => create(LookupResponseSchema, { vin, ...ANSWER })),
    }),
  );
  return await listen(server);
}

/** Neither decodes nor encodes. Shows what HTTP/2 alone costs in Node. */
async function startHttp2(): Promise<number> {
  const message = toBinary(LookupResponseSchema, create(LookupResponseSchema, { vin: CACHED_VIN, ...ANSWER }));
  const frame = grpcMessage(message);
  const server = createHttp2Server();
  server.on("stream", (stream) => {
    stream.resume();
    stream.respond({ ":status": 200, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
    stream.once("wantTrailers", sendOk);
    stream.end(frame);
  });
  return await listen(server);
}

function sendOk(this: ServerHttp2Stream): void {
  this.sendTrailers({ "grpc-status": "0" });
}

/** Parses JSON and answers with JSON. */
async function startHttp(): Promise<number> {
  const server = createHttpServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { vin }: { readonly vin: string } = JSON.parse(Buffer.concat(chunks).toString());
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ vin, ...ANSWER }));
    });
  });
  return await listen(server);
}

async function listen(server: NetServer): Promise<number> {
  server.listen(0, HOST);
  await once(server, "listening");
  return portOf(server);
}
