// What happens at three times the capacity: how many calls are still answered, and how soon the others are refused. The
// service runs in a process of its own with handlers that only burn CPU; each client connection speaks plain HTTP/2.
//
//   node test/bench/overload.ts [us of work in a call] [seconds]

import { fork } from "node:child_process";
import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";

import { create, toBinary } from "@bufbuild/protobuf";
import { Code, createServiceImplSpec } from "@connectrpc/connect";

import { LookupRequestSchema, VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { AccessGuard } from "../../src/access/access-guard.ts";
import { watchEventLoopLag } from "../../src/access/event-loop-lag.ts";
import { LoadShedder } from "../../src/access/load-shedder.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";
import { createInterceptors } from "../../src/rpc/interceptors.ts";
import { createOverloadRefusal } from "../../src/rpc/overload-refusal.ts";
import { startGrpcServer } from "../../src/server/grpc-server.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const CONNECTIONS = 20;
const STREAMS_PER_CONNECTION = 90;
const RESOURCE_EXHAUSTED: number = Code.ResourceExhausted;
const headers = {
  ":method": "POST",
  ":path": "/vehicle.v1.VehicleService/Lookup",
  "content-type": "application/grpc",
  te: "trailers",
};
const frame = framed(toBinary(LookupRequestSchema, create(LookupRequestSchema, { vin: "1XPWD40X1ED215307" })));

const [, , first = "300", second = "6"] = process.argv;
if (first === "serve") {
  await serve(Number(second));
} else {
  await measure(Number(first), Number(second));
}

async function serve(workUs: number): Promise<void> {
  const shedder = new LoadShedder();
  watchEventLoopLag((lagMs) => shedder.observe(lagMs));
  const limiter = new RateLimiter({ perSecond: 1e9, burst: 1e9 });
  const { address } = await startGrpcServer({
    host: "127.0.0.1",
    port: 0,
    services: [
      createServiceImplSpec<typeof VehicleService>(VehicleService, {
        lookup: ({ vin }) => {
          for (const end = performance.now() + workUs / 1_000; performance.now() < end;);
          return { vin };
        },
      }),
    ],
    interceptors: createInterceptors({
      guard: new AccessGuard({ tokens: undefined, limiter }),
      logger: SILENT,
    }),
    refuseEarly: createOverloadRefusal(shedder, SILENT).overGrpc,
    logger: SILENT,
  });
  process.on("message", () => process.send?.(process.cpuUsage().user + process.cpuUsage().system));
  process.send?.(address);
}

interface Tally {
  good: number;
  refused: number;
  other: number;
  readonly goodMs: number[];
  readonly refusedMs: number[];
}

async function measure(workUs: number, seconds: number): Promise<void> {
  const child = fork(import.meta.filename, ["serve", String(workUs)]);
  const cpuUs = async (): Promise<number> => {
    child.send("cpu");
    return Number((await once(child, "message"))[0]);
  };
  const [address] = await once(child, "message");
  const sessions = Array.from({ length: CONNECTIONS }, () => connect(`http://${address}`));
  await load(sessions, 1_000, 1);
  let peak = 0;
  // Closed loop, few at once: as many as are answered without a queue.
  for (let round = 0; round < 3; round++) {
    peak = Math.max(peak, await closedLoop(sessions[round], 1));
  }
  const before = await cpuUs();
  await load(sessions, 3 * peak, 2);
  const tally = await load(sessions, 3 * peak, seconds);
  const cpuShare = ((await cpuUs()) - before) / ((seconds + 2) * 1e6);
  for (const session of sessions) {
    session.destroy();
  }
  child.kill();
  const goodPerSecond = tally.good / seconds;
  console.table({
    "peak, calls/s": Math.round(peak),
    "good, calls/s": Math.round(goodPerSecond),
    "good, % of peak": Math.round((100 * goodPerSecond) / peak),
    "refused, calls/s": Math.round(tally.refused / seconds),
    "not sent or failed, calls/s": Math.round(tally.other / seconds),
    "good p50, ms": quantile(tally.goodMs, 0.5),
    "good p99, ms": quantile(tally.goodMs, 0.99),
    "refused p50, ms": quantile(tally.refusedMs, 0.5),
    "refused p99, ms": quantile(tally.refusedMs, 0.99),
    "server CPU, cores": Number(cpuShare.toFixed(2)),
  });
}

async function closedLoop(session: ClientHttp2Session | undefined, seconds: number): Promise<number> {
  if (session === undefined) {
    return 0;
  }
  const end = performance.now() + seconds * 1_000;
  let answered = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      await call(session);
      answered++;
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  return answered / seconds;
}

/** Sends so many calls a second, whatever becomes of them. */
async function load(sessions: readonly ClientHttp2Session[], perSecond: number, seconds: number): Promise<Tally> {
  const tally: Tally = { good: 0, refused: 0, other: 0, goodMs: [], refusedMs: [] };
  const startedAt = performance.now();
  const running = new Set<Promise<void>>();
  let sent = 0;
  while (performance.now() < startedAt + seconds * 1_000) {
    const due = ((performance.now() - startedAt) / 1_000) * perSecond;
    for (; sent < due; sent++) {
      const session = sessions[sent % sessions.length];
      if (session === undefined || running.size >= CONNECTIONS * STREAMS_PER_CONNECTION) {
        tally.other++;
        continue;
      }
      const run: Promise<void> = timed(session, tally).finally(() => running.delete(run));
      running.add(run);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await Promise.all(running);
  return tally;
}

async function timed(session: ClientHttp2Session, tally: Tally): Promise<void> {
  const startedAt = performance.now();
  const status = await call(session);
  const ms = performance.now() - startedAt;
  if (status === 0) {
    tally.good++;
    tally.goodMs.push(ms);
  } else if (status === RESOURCE_EXHAUSTED) {
    tally.refused++;
    tally.refusedMs.push(ms);
  } else {
    tally.other++;
  }
}

/** One call; gives its gRPC status. */
function call(session: ClientHttp2Session): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const stream = session.request(headers);
  let status = -1;
  const read = (received: Record<string, unknown>): void => {
    status = received["grpc-status"] === undefined ? status : Number(received["grpc-status"]);
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.on("error", () => resolve(-1));
  stream.on("close", () => resolve(status));
  stream.resume();
  stream.end(frame);
  return promise;
}

function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Number((sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1));
}
