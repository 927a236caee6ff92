/** The honest client: records its calls between the messages "begin" and "end", and answers "end" with the record. */
import { Agent, request } from "node:http";
import type { ClientHttp2Session } from "node:http2";
import { connect } from "node:http2";
import { Agent as SecureAgent, request as requestSecurely } from "node:https";
import { create, toBinary } from "@bufbuild/protobuf";
import { LookupRequestSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { grpcMessage } from "../support/http2-frames.ts";
import type { ProbeTarget } from "./probe.ts";

const INTERVAL_MS = 50;
const PATIENCE_MS = 60_000;
/** The longest time limit of a Lookup, so that none times out on a busy machine. */
const DEADLINE_MS = 30_000;
/** An honest client waits for its answers; on a busy machine it would otherwise become another burst. */
const MAX_RUNNING = 16;
const PATH = "/vehicle.v1.VehicleService/Lookup";

const { grpcAddress, httpAddress, vin, ca, authorization }: ProbeTarget = JSON.parse(process.argv[2] ?? "{}");
const access = authorization === undefined ? {} : { authorization };
const message = grpcMessage(toBinary(LookupRequestSchema, create(LookupRequestSchema, { vin })));
const agentOptions = { keepAlive: true, maxSockets: 4 };
const agent = ca === undefined ? new Agent(agentOptions) : new SecureAgent({ ...agentOptions, ca });
const running = new Set<Promise<void>>();
let durations: number[] = [];
let faults: string[] = [];
let timer: NodeJS.Timeout | undefined;
let session: ClientHttp2Session | undefined;

process.on("message", (order) => {
  if (order === "begin") {
    [durations, faults] = [[], []];
    callBoth();
    timer = setInterval(callBothUnlessBusy, INTERVAL_MS);
  } else {
    clearInterval(timer);
    callBoth();
    void tellWhenDone();
  }
});
// Connections are made, and code is compiled, before the record begins.
callBoth();
await tellWhenDone();

async function tellWhenDone(): Promise<void> {
  await Promise.all(running);
  process.send?.({ durations, faults });
}

function callBothUnlessBusy(): void {
  if (running.size < MAX_RUNNING) {
    callBoth();
  }
}

function callBoth(): void {
  for (const call of [callGrpc, callConnect]) {
    const run: Promise<void> = count(call()).finally(() => running.delete(run));
    running.add(run);
  }
}

async function count(call: Promise<string>): Promise<void> {
  const startedAt = performance.now();
  const fault = await call;
  durations.push(performance.now() - startedAt);
  if (fault !== "") {
    faults.push(fault);
  }
}

/** One cached Lookup over gRPC. Returns what went wrong, or undefined. */
function callGrpc(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  if (session === undefined || session.destroyed || session.closed) {
    session = ca === undefined ? connect(`http://${grpcAddress}`) : connect(`https://${grpcAddress}`, { ca });
    session.on("error", (error) => resolve(error.message));
  }
  const stream = session.request({
    ":method": "POST",
    ":path": PATH,
    "content-type": "application/grpc",
    te: "trailers",
    "grpc-timeout": `${DEADLINE_MS}m`,
    ...access,
  });
  let fault = "no status";
  const read = (headers: Record<string, unknown>): void => {
    const status = headers["grpc-status"] ?? undefined;
    if (status !== undefined) {
      fault = Number(status) === 0 ? "" : `grpc-status ${Number(status)}`;
    }
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.on("error", (error) => resolve(error.message));
  stream.on("close", () => resolve(fault));
  stream.setTimeout(PATIENCE_MS, () => stream.close());
  stream.resume();
  stream.end(message);
  return promise;
}

/** One cached Lookup over Connect. Returns what went wrong, or undefined. */
function callConnect(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const [host, port] = httpAddress.split(":");
  const headers = { "content-type": "application/json", "connect-timeout-ms": DEADLINE_MS, ...access };
  const call = (ca === undefined ? request : requestSecurely)({
    host,
    port,
    agent,
    headers,
    method: "POST",
    path: PATH,
    timeout: PATIENCE_MS,
  });
  call.on("response", (response) => {
    response.resume();
    response.on("close", () => resolve(response.statusCode === 200 ? "" : `status ${response.statusCode}`));
  });
  call.on("timeout", () => call.destroy());
  call.on("error", (error) => resolve(error.message));
  call.end(JSON.stringify({ vin }));
  return promise;
}
