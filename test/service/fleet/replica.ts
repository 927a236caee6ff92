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

/** Lines that a process logs when its database does not answer. Each kind at most every 10 s. */
const AWAY = new Set([
  "reads of the cache fail",
  "writes to the cache fail",
  "removals from the cache fail",
  "cannot open the cache database",
]);
/**
 * How long after such a line a process may decide alone: 10 s without a further line, 1 s until writes resume, and the
 * questions that it then still asks.
 */
const ALONE_FOR_MS = 16_000;

/** One of the services that share a cache, with several workers. */
export class Replica implements AsyncDisposable {
  readonly name: string;
  /** From the end of each killed process until that was noticed. */
  readonly kills: Span[] = [];
  readonly #env: Readonly<Record<string, string>>;
  readonly #services: ServiceProcess[] = [];
  #client: Client<typeof VehicleService> | undefined;

  private constructor(name: string, env: Readonly<Record<string, string>>) {
    this.name = name;
    this.#env = env;
  }

  static async start(name: string, env: Readonly<Record<string, string>>): Promise<Replica> {
    const replica = new Replica(name, env);
    await replica.#start();
    return replica;
  }

  /** Opens a connection for each call, so that the workers get them in turn. Undefined while it is not running. */
  get client(): Client<typeof VehicleService> | undefined {
    return this.#client;
  }

  /** How many of its workers have died since it was started. */
  get deaths(): number {
    return this.#current.log.filter(({ msg }) => msg === "a worker died").length;
  }

  /** Whether every worker has acknowledged a Remove. */
  get isWhole(): boolean {
    const serving = new Set(this.#current.log.filter(({ msg }) => msg === "audit").map(({ worker }) => worker));
    const living = this.#living;
    return living.length === Number(this.#env["WORKERS"]) && living.every(({ worker }) => serving.has(worker));
  }

  /** When its processes may have decided alone, according to their logs. */
  get timesAlone(): Span[] {
    return this.#services
      .flatMap(({ log }) => log)
      .filter(({ msg }) => AWAY.has(String(msg)))
      .map(({ time }) => Date.parse(String(time)))
      .map((from) => ({ from, to: from + ALONE_FOR_MS }));
  }

  /** Ends one worker by `kill -9`, and waits until the primary has noticed. */
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

  /** Ends the primary by `kill -9`, which ends its workers too. Then starts the service again. */
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

  /** The log lines of the starts of those workers that have not died. */
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
    const service = await ServiceProcess.start(this.#env, undefined, ENTRY);
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
