// What the mount costs: the same no-op call on plain grpc-js and through the mount with four interceptors, each server
// in a process of its own. Servers are compared by their CPU time per call, which a busy machine disturbs least.
//
//   node test/bench/mount.ts [calls]

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:http2";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createServiceImplSpec, type Interceptor } from "@connectrpc/connect";
import { Server, ServerCredentials } from "@grpc/grpc-js";

import { LookupRequestSchema, LookupResponseSchema, VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { mountService } from "../../src/server/grpc/mount.ts";

type Kind = "plain" | "mount";
const answer = { make: "PETERBILT", model: "388", modelYear: "2014", bodyClass: "Truck-Tractor", cached: true };
const passOn: Interceptor = (next) => async (request) => await next(request);
const path = "/vehicle.v1.VehicleService/Lookup";

const kind = process.argv[2];
if (kind === "plain" || kind === "mount") {
  await serve(kind);
} else {
  await compare(Number(kind ?? 5000));
}

async function serve(kind: Kind): Promise<void> {
  const server = new Server({ "grpc.enable_channelz": 0 });
  if (kind === "plain") {
    server.addService(
      {
        lookup: {
          path,
          requestStream: false,
          responseStream: false,
          requestSerialize: (bytes: Buffer) => bytes,
          requestDeserialize: (bytes: Buffer) => fromBinary(LookupRequestSchema, bytes),
          responseSerialize: (message: { vin: string }) =>
            Buffer.from(toBinary(LookupResponseSchema, create(LookupResponseSchema, message))),
          responseDeserialize: (bytes: Buffer) => bytes,
        },
      },
      {
        lookup: (call: { request: { vin: string } }, respond: (error: null, message: object) => void) => {
          respond(null, { vin: call.request.vin, ...answer });
        },
      },
    );
  } else {
    mountService(
      server,
      createServiceImplSpec<typeof VehicleService>(VehicleService, {
        lookup: async (request) => ({ vin: request.vin, ...answer }),
      }),
      { interceptors: [passOn, passOn, passOn, passOn], logger: console },
    );
  }
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_error, port) => process.send?.(port));
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    process.send?.(user + system);
  });
}

/** The child's CPU time so far, in us. */
async function cpuOf(child: ChildProcess): Promise<number> {
  child.send("cpu");
  const [us] = await once(child, "message");
  return Number(us);
}

async function compare(calls: number): Promise<void> {
  const children = new Map<Kind, { child: ChildProcess; port: number }>();
  for (const kind of ["plain", "mount"] as const) {
    const child = fork(import.meta.filename, [kind]);
    const [port] = await once(child, "message");
    children.set(kind, { child, port });
  }
  const results: Record<Kind, number[]> = { plain: [], mount: [] };
  const rounds = 16;
  for (let round = 0; round < rounds; round++) {
    for (const [kind, { child, port }] of children) {
      const before = await cpuOf(child);
      await load(port, calls);
      const after = await cpuOf(child);
      // The first rounds warm up.
      if (round > 3) {
        results[kind].push((after - before) / calls);
      }
    }
  }
  const plain = median(results.plain);
  const mount = median(results.mount);
  console.log(`plain grpc-js          ${plain.toFixed(1)} us a call, ${Math.round(1e6 / plain)} calls/s on one core`);
  console.log(`mount, 4 interceptors  ${mount.toFixed(1)} us a call, ${Math.round(1e6 / mount)} calls/s on one core`);
  const ratios = results.plain.map((us, round) => us / (results.mount[round] ?? Number.NaN));
  console.log(`mount reaches ${(100 * median(ratios)).toFixed(0)} % of plain grpc-js`);
  for (const { child } of children.values()) {
    child.kill();
  }
}

async function load(port: number, calls: number): Promise<void> {
  const session = connect(`http://127.0.0.1:${port}`);
  const message = toBinary(LookupRequestSchema, create(LookupRequestSchema, { vin: "1XPWD40X1ED215307" }));
  const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, message.byteLength]), message]);
  let left = calls;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const stream = session.request({
        ":method": "POST",
        ":path": path,
        te: "trailers",
        "content-type": "application/grpc",
        "user-agent": "bench",
      });
      stream.end(frame);
      stream.resume();
      await once(stream, "close");
    }
  };
  await Promise.all(Array.from({ length: 64 }, worker));
  session.close();
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
