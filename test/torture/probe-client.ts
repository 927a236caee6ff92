/** The honest client: obeys the orders of a Probe, and answers each with its record so far. */
import { Agent } from "node:http";
import { Agent as SecureAgent } from "node:https";
import type { Client } from "@connectrpc/connect";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { ProbeOrder, ProbeTarget } from "./probe.ts";
import { CACHED_VIN } from "./requests.ts";

const INTERVAL_MS = 50;
/** The longest time limit of a Lookup, so that none times out on a busy machine. */
const DEADLINE_MS = 30_000;
/** An honest client waits for its answers; on a busy machine it would otherwise become another burst. */
const MAX_RUNNING = 16;

const running = new Set<Promise<void>>();
let clients: Client<typeof VehicleService>[] = [];
let headers: Record<string, string> = {};
let durations: number[] = [];
let faults: string[] = [];
let timer: NodeJS.Timeout | undefined;

process.on("message", (order: ProbeOrder) => {
  void obey(order).then(() => process.send?.({ durations, faults }));
});

async function obey(order: ProbeOrder): Promise<void> {
  switch (order.kind) {
    case "connect":
      connectTo(order.target);
      // Connections are made, and code is compiled, before the record begins.
      callAll();
      await Promise.all(running);
      break;
    case "begin":
      [durations, faults] = [[], []];
      callAll();
      timer = setInterval(callAllUnlessBusy, INTERVAL_MS);
      break;
    case "end":
      clearInterval(timer);
      callAll();
      await Promise.all(running);
      break;
  }
}

function connectTo({ grpcAddress, httpAddress, ca, authorization }: ProbeTarget): void {
  const scheme = ca === undefined ? "http" : "https";
  const keepAlive = { keepAlive: true, maxSockets: 4 };
  const agent = ca === undefined ? new Agent(keepAlive) : new SecureAgent({ ...keepAlive, ca });
  clients = [
    createGrpcTransport({ baseUrl: `${scheme}://${grpcAddress}`, nodeOptions: ca === undefined ? {} : { ca } }),
    createConnectTransport({ baseUrl: `${scheme}://${httpAddress}`, httpVersion: "1.1", nodeOptions: { agent } }),
  ].map((transport) => createClient(VehicleService, transport));
  headers = authorization === undefined ? {} : { authorization };
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
    await client.lookup({ vin: CACHED_VIN }, { headers, timeoutMs: DEADLINE_MS });
  } catch (error) {
    faults.push(ConnectError.from(error).message);
  }
  durations.push(performance.now() - startedAt);
}
