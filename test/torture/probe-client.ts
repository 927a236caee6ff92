/** The honest client, in a process of its own so that the attacker's work does not delay it. */
import { Agent, request } from "node:http";
import { Agent as SecureAgent, request as requestSecurely } from "node:https";
import type { ClientHttp2Session } from "node:http2";
import { connect } from "node:http2";

import { create, toBinary } from "@bufbuild/protobuf";

import { LookupRequestSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { grpcMessage } from "./http2-frames.ts";
import type { ProbeResult, ProbeTarget } from "./probe.ts";

const INTERVAL_MS = 50;
const PATIENCE_MS = 10_000;
const PATH = "/vehicle.v1.VehicleService/Lookup";

const { grpcAddress, httpAddress, vin, ca }: ProbeTarget = JSON.parse(process.argv[2] ?? "{}");
const message = grpcMessage(toBinary(LookupRequestSchema, create(LookupRequestSchema, { vin })));
const json = JSON.stringify({ vin });
const agentOptions = { keepAlive: true, maxSockets: 4 };
const agent = ca === undefined ? new Agent(agentOptions) : new SecureAgent({ ...agentOptions, ca });
const results: Record<"grpc" | "http", ProbeResult> = { grpc: noResult(), http: noResult() };
const running = new Set<Promise<void>>();
let session: ClientHttp2Session | undefined;

// Connections are made, and code is compiled, before anything counts.
await Promise.all([callGrpc(), callHttp()]);
const timer = setInterval(() => {
  start(results.grpc, callGrpc());
  start(results.http, callHttp());
}, INTERVAL_MS);
process.once("message", () => void stop());
process.send?.("ready");

function noResult(): ProbeResult {
  return { calls: 0, failures: 0, maxMs: 0, causes: [] };
}

function start(result: ProbeResult, call: Promise<string>): void {
  const run: Promise<void> = count(result, call).finally(() => running.delete(run));
  running.add(run);
}

async function count(result: ProbeResult, call: Promise<string>): Promise<void> {
  const startedAt = performance.now();
  const fault = await call;
  result.calls++;
  result.maxMs = Math.max(result.maxMs, performance.now() - startedAt);
  if (fault !== "") {
    result.failures++;
    result.causes.push(fault);
  }
}

async function stop(): Promise<void> {
  clearInterval(timer);
  await Promise.all(running);
  agent.destroy();
  session?.destroy();
  process.send?.(results);
}

/** One cached Lookup over gRPC; gives what went wrong, or nothing. */
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
  });
  let status = "no status";
  const read = (headers: Record<string, unknown>): void => {
    const found = headers["grpc-status"];
    if (found !== undefined) {
      status = Number(found) === 0 ? "" : `grpc-status ${Number(found)}`;
    }
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.on("error", (error) => resolve(error.message));
  stream.on("close", () => resolve(status));
  stream.setTimeout(PATIENCE_MS, () => stream.close());
  stream.resume();
  stream.end(message);
  return promise;
}

/** One cached Lookup over Connect; gives what went wrong, or nothing. */
function callHttp(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const [host, port] = httpAddress.split(":");
  const call = (ca === undefined ? request : requestSecurely)({
    host,
    port,
    agent,
    method: "POST",
    path: PATH,
    headers: { "content-type": "application/json" },
    timeout: PATIENCE_MS,
  });
  call.on("response", (response) => {
    response.resume();
    response.on("close", () => resolve(response.statusCode === 200 ? "" : `status ${response.statusCode}`));
  });
  call.on("timeout", () => call.destroy());
  call.on("error", (error) => resolve(error.message));
  call.end(json);
  return promise;
}
