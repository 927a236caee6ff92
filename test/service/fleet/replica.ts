import { Agent } from "node:http";
import { fileURLToPath } from "node:url";
import type { Client } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { eventually } from "../../support/eventually.ts";
import { ServiceProcess } from "../../support/service-process.ts";
import { stamp } from "../../support/stamp.ts";

/** A period of time, in ms since the epoch. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

const ENTRY = fileURLToPath(new URL("patient-process.ts", import.meta.url));

/** Lines that a process logs while its database does not answer. Each is logged at most every 10 s. */
const AWAY = new Set([
  "reads of the cache fail",
  "writes to the cache fail",
  "removals from the cache fail",
  "cannot open the cache database",
]);
/**
 * How long after such a line a process may decide alone, in ms: 10 s until the next line, 1 s until writes resume, and
 * the time of the requests that it sends until then.
 */
const ALONE_FOR_MS = 16_000;

/** One of the services that share a cache. It has several workers. */
export class Replica implements AsyncDisposable {
  readonly name: string;
  /** For each kill, the time from the signal until the death was noticed. */
  readonly kills: Span[] = [];
  readonly #env: Readonly<Record<string, string>>;
  readonly #entry: string;
  readonly #services: ServiceProcess[] = [];
  #client: Client<typeof VehicleService> | undefined;

  private constructor(name: string, env: Readonly<Record<string, string>>, entry: string) {
    this.name = name;
    this.#env = env;
    this.#entry = entry;
  }

  /** @param entry the file that starts it. Default: one with long time limits. */
  static async start(name: string, env: Readonly<Record<string, string>>, entry = ENTRY): Promise<Replica> {
    const replica = new Replica(name, env, entry);
    await replica.#start();
    return replica;
  }

  /** A client that opens a connection for each call, so that the workers get calls in turn. Undefined while stopped. */
  get client(): Client<typeof VehicleService> | undefined {
    return this.#client;
  }

  /** The number of workers that have died since the last start. */
  get deaths(): number {
    return this.#current.log.filter(({ msg }) => msg === "a worker died").length;
  }

  /** Whether all workers run and each has acknowledged a Remove. */
  get isWhole(): boolean {
    const serving = new Set(this.#current.log.filter(({ msg }) => msg === "audit").map(({ worker }) => worker));
    const living = this.#living;
    return living.length === Number(this.#env["WORKERS"]) && living.every(({ worker }) => serving.has(worker));
  }

  /** The times when its processes may have decided alone, according to their logs. */
  get timesAlone(): Span[] {
    return this.#services
      .flatMap(({ log }) => log)
      .filter(({ msg }) => AWAY.has(String(msg)))
      .map(({ time }) => Date.parse(String(time)))
      .map((from) => ({ from, to: from + ALONE_FOR_MS }));
  }

  /** Ends a worker with `kill -9`, and waits until the primary has noticed. */
  async killWorker(random: () => number): Promise<void> {
    const { log } = this.#current;
    const living = this.#living;
    const victim = living[Math.floor(random() * living.length)];
    const from = stamp();
    process.kill(Number(victim?.["pid"]), "SIGKILL");
    await eventually(() => {
      if (!log.some(({ msg, worker }) => msg === "a worker died" && worker === victim?.["worker"])) {
        throw new Error("the death of the worker was not noticed");
      }
    });
    this.kills.push({ from, to: stamp() });
  }

  /** Ends the primary with `kill -9`, which ends its workers too. Then starts the service again. */
  async killAll(): Promise<void> {
    this.#client = undefined;
    const from = stamp();
    await this.#current.stop("SIGKILL");
    this.kills.push({ from, to: stamp() });
    await this.#start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#current[Symbol.asyncDispose]();
  }

  /** The log lines about the starts of the workers that still run. */
  get #living(): Record<string, unknown>[] {
    const { log } = this.#current;
    const dead = new Set(log.filter(({ msg }) => msg === "a worker died").map(({ worker }) => worker));
    return log.filter(({ msg, worker }) => msg === "started a worker" && !dead.has(worker));
  }

  get #current(): ServiceProcess {
    const service = this.#services.at(-1);
    if (service === undefined) {
      throw new Error("the replica was not started");
    }
    return service;
  }

  async #start(): Promise<void> {
    const service = await ServiceProcess.start(this.#env, undefined, this.#entry);
    this.#services.push(service);
    this.#client = createClient(
      VehicleService,
      createConnectTransport({
        baseUrl: `http://${service.httpAddress}`,
        httpVersion: "1.1",
        nodeOptions: { agent: new Agent({ keepAlive: false }) },
      }),
    );
  }
}
