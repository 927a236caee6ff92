import { once } from "node:events";
import { request } from "node:http";
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import { json } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { LookupRequestSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { portOf } from "../support/port-of.ts";
import { manyVins } from "../support/real-vins.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const [VIN = ""] = manyVins(1);
const PATH = "/vehicle.v1.VehicleService/Lookup";
const PROBE_MS = 100;
/** Many probes, because the machine may be busy. */
const SHUTDOWN_DELAY = "8s";

test("a rolling restart of three replicas behind a balancer loses no call", { timeout: 600_000 }, async () => {
  await using stack = new AsyncDisposableStack();
  const vpic = stack.use(await startFakeVpic());
  const startReplica = async (): Promise<ServiceProcess> => {
    const { path } = stack.use(await temporaryDirectory());
    const env = {
      DATA_DIR: path,
      SOURCES: "vpic",
      VPIC_URL: vpic.url,
      SHUTDOWN_DELAY,
      SHUTDOWN_GRACE: "60s",
      // All callers have the balancer's address, and a quick machine opens hundreds of connections per second.
      CONNECTIONS_PER_ADDRESS: "unlimited",
      RATE_LIMIT_PER_SECOND: "1000000",
      RATE_LIMIT_BURST: "1000000",
    };
    return stack.use(await ServiceProcess.start(env));
  };
  const replicas = await Promise.all([startReplica(), startReplica(), startReplica()]);
  const balancer = stack.use(await Balancer.start(replicas.map(({ httpAddress }) => httpAddress)));
  await balancer.whenAllReady();

  const stopped = new AbortController();
  const callers = [callOnNewConnections, callOnNewConnections, callOnOneChannel].map((call) =>
    call(balancer.port, stopped.signal),
  );
  const exitCodes: (number | null)[] = [];
  for (const replica of replicas) {
    exitCodes.push(await replica.stop());
    balancer.replace(replica.httpAddress, (await startReplica()).httpAddress);
    await balancer.whenAllReady();
  }
  stopped.abort();
  const results = await Promise.all(callers);

  expect(exitCodes).toEqual([0, 0, 0]);
  expect(results.flatMap(({ failures }) => failures)).toEqual([]);
  expect(results.every(({ answered }) => answered > 10)).toBe(true);
});

interface Calls {
  answered: number;
  readonly failures: string[];
}

async function callOnNewConnections(port: number, stop: AbortSignal): Promise<Calls> {
  const calls: Calls = { answered: 0, failures: [] };
  while (!stop.aborted) {
    try {
      const headers = { "content-type": "application/json" };
      const call = request({ port, path: PATH, method: "POST", headers, agent: false }).end(
        JSON.stringify({ vin: VIN }),
      );
      const [response] = await once(call, "response");
      await json(response);
      calls.answered += response.statusCode === 200 ? 1 : 0;
      if (response.statusCode !== 200) {
        calls.failures.push(`status ${response.statusCode}`);
      }
    } catch (error) {
      calls.failures.push(String(error));
    }
  }
  return calls;
}

async function callOnOneChannel(port: number, stop: AbortSignal): Promise<Calls> {
  const calls: Calls = { answered: 0, failures: [] };
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const message = Buffer.from(toBinary(LookupRequestSchema, create(LookupRequestSchema, { vin: VIN })));
  const same = (bytes: Buffer): Buffer => bytes;
  while (!stop.aborted) {
    const { promise, resolve } = Promise.withResolvers<Error | null>();
    client.makeUnaryRequest(PATH, same, same, message, (error) => resolve(error));
    const error = await promise;
    if (error === null) {
      calls.answered++;
    } else {
      calls.failures.push(error.message);
    }
  }
  client.close();
  return calls;
}

/** Passes connections on to the replicas that are ready, in turn. */
class Balancer implements AsyncDisposable {
  readonly #server = createServer((socket) => this.#pass(socket));
  readonly #isReady = new Map<string, boolean>();
  readonly #stopped = new AbortController();
  #turn = 0;

  static async start(addresses: readonly string[]): Promise<Balancer> {
    const balancer = new Balancer();
    addresses.forEach((address) => balancer.#add(address));
    balancer.#server.listen(0, "127.0.0.1");
    await once(balancer.#server, "listening");
    return balancer;
  }

  get port(): number {
    return portOf(this.#server);
  }

  replace(address: string, replacement: string): void {
    this.#isReady.delete(address);
    this.#add(replacement);
  }

  async whenAllReady(): Promise<void> {
    while ([...this.#isReady.values()].includes(false)) {
      await pause(PROBE_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    this.#server.close();
    await once(this.#server, "close");
  }

  #add(address: string): void {
    this.#isReady.set(address, false);
    void this.#probe(address);
  }

  async #probe(address: string): Promise<void> {
    while (this.#isReady.has(address) && !this.#stopped.signal.aborted) {
      const isReady = await fetch(`http://${address}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (this.#isReady.has(address)) {
        this.#isReady.set(address, isReady);
      }
      await pause(PROBE_MS);
    }
  }

  #pass(socket: Socket): void {
    const ready = [...this.#isReady].filter(([, isReady]) => isReady);
    const [address = ""] = ready[this.#turn++ % ready.length] ?? [];
    const [host = "", port] = address.split(":");
    const target = connect(Number(port), host);
    const end = (): void => {
      socket.destroy();
      target.destroy();
    };
    socket.on("error", end).on("close", end).pipe(target);
    target.on("error", end).on("close", end).pipe(socket);
  }
}
