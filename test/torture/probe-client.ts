/** The honest client: records its calls between the messages "begin" and "end", and answers "end" with the record. */
import { Agent } from "node:http";
import { Agent as SecureAgent } from "node:https";
import type { Client } from "@connectrpc/connect";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { ProbeTarget } from "./probe.ts";

const INTERVAL_MS = 50;
/** The longest time limit of a Lookup, so that none times out on a busy machine. */
const DEADLINE_MS = 30_000;
/** An honest client waits for its answers; on a busy machine it would otherwise become another burst. */
const MAX_RUNNING = 16;

const { grpcAddress, httpAddress, vin, ca, authorization }: ProbeTarget = JSON.parse(process.argv[2] ?? "{}");
const scheme = ca === undefined ? "http" : "https";
const keepAlive = { keepAlive: true, maxSockets: 4 };
const agent = ca === undefined ? new Agent(keepAlive) : new SecureAgent({ ...keepAlive, ca });
const clients = [
  createGrpcTransport({ baseUrl: `${scheme}://${grpcAddress}`, nodeOptions: ca === undefined ? {} : { ca } }),
  createConnectTransport({ baseUrl: `${scheme}://${httpAddress}`, httpVersion: "1.1", nodeOptions: { agent } }),
].map((transport) => createClient(VehicleService, transport));
const options = { timeoutMs: DEADLINE_MS, headers: authorization === undefined ? {} : { authorization } };
const running = new Set<Promise<void>>();
let durations: number[] = [];
let faults: string[] = [];
let timer: NodeJS.Timeout | undefined;

process.on("message", (order) => {
  if (order === "begin") {
    [durations, faults] = [[], []];
    callAll();
    timer = setInterval(callAllUnlessBusy, INTERVAL_MS);
  } else {
    clearInterval(timer);
    callAll();
    void tellWhenDone();
  }
});
// Connections are made, and code is compiled, before the record begins.
callAll();
await tellWhenDone();

async function tellWhenDone(): Promise<void> {
  await Promise.all(running);
  process.send?.({ durations, faults });
}

function callAllUnlessBusy(): void {
  if (running.size < MAX_RUNNING) {
    callAll();
  }
}

function callAll(): void {
  for (const client of clients) {
    const run: Promise<void> = lookUp(client).finally(() => running.delete(run));
    running.add(run);
  }
}

/** Makes a cached Lookup. */
async function lookUp(client: Client<typeof VehicleService>): Promise<void> {
  const startedAt = performance.now();
  try {
    await client.lookup({ vin }, options);
  } catch (error) {
    faults.push(ConnectError.from(error).message);
  }
  durations.push(performance.now() - startedAt);
}
