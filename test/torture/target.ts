import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { writeTls } from "../support/tls-on-disk.ts";
import type { Figure } from "./finding.ts";
import { counted, exactly, measured } from "./finding.ts";
import { Probe, quantile } from "./probe.ts";
import { CACHED_VIN } from "./requests.ts";

const MIB = 1_024 * 1_024;
const SAMPLE_MS = 50;
const WARM_UP_CALLS = 1_500;
const SETTLE_MS = 5_000;
const LOOK_EVERY_MS = 20;
/** The time within which everything left by an attack must end. Nothing takes this long unless something is wrong. */
const LEFT_BEHIND_MS = 60_000;

export interface TargetOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly isSecured?: boolean;
  /** Whether to first make calls until code is compiled and the heap has grown, so that attacks do not count it. */
  readonly isWarm?: boolean;
  /** The `authorization` of honest callers. */
  readonly authorization?: string;
}

/** The bounds on the effects of an attack. */
export interface Harm {
  readonly probeMs?: number;
  readonly memoryMib?: number;
  /** Memory 5 s after the attack, divided by that before it. */
  readonly memoryAfterMib?: number;
}

/** The service in a process of its own, with a fake vPIC, a vehicle in its cache, and an honest client. */
export class Target implements AsyncDisposable {
  readonly service: ServiceProcess;
  /** The authority of the service's certificate, as PEM. Without it, the service has no TLS. */
  readonly ca: string | undefined;
  readonly #probe: Probe;
  readonly #owned: AsyncDisposableStack;

  private constructor(service: ServiceProcess, ca: string | undefined, probe: Probe, owned: AsyncDisposableStack) {
    this.service = service;
    this.ca = ca;
    this.#probe = probe;
    this.#owned = owned;
  }

  /** Connections and calls are not limited by address unless the environment says so. */
  static async start({ env, isSecured, isWarm, authorization }: TargetOptions = {}): Promise<Target> {
    await using starting = new AsyncDisposableStack();
    const { path } = starting.use(await temporaryDirectory());
    const vpic = starting.use(await startFakeVpic());
    const disk = isSecured === true ? starting.use(await writeTls()) : undefined;
    const service = starting.use(
      await ServiceProcess.start({
        DATA_DIR: path,
        SOURCES: "vpic",
        VPIC_URL: vpic.url,
        CONNECTIONS_PER_ADDRESS: "unlimited",
        RATE_LIMIT_PER_SECOND: "1000000",
        RATE_LIMIT_BURST: "1000000",
        ...disk?.env,
        ...env,
      }),
    );
    const { grpcAddress, httpAddress } = service;
    const probe = starting.use(await Probe.start({ grpcAddress, httpAddress, ca: disk?.ca, authorization }));
    const target = new Target(service, disk?.ca, probe, starting.move());
    if (isWarm === true) {
      await target.#warmUp();
    }
    return target;
  }

  addressOf(port: "grpc" | "http"): string {
    return port === "grpc" ? this.service.grpcAddress : this.service.httpAddress;
  }

  /** `https://` or `http://` and the address of the HTTP port. */
  get url(): string {
    return `${this.ca === undefined ? "http" : "https"}://${this.service.httpAddress}`;
  }

  /**
   * Opens a connection, with a TLS handshake if the service uses TLS.
   *
   * @param from the address of loopback that it comes from
   */
  open(port: "grpc" | "http", protocol: "h2" | "http/1.1", from?: string): Promise<RawConnection> {
    return RawConnection.open(
      this.addressOf(port),
      from,
      this.ca === undefined ? undefined : { ca: this.ca, protocol },
    );
  }

  /** Current resident memory, in MiB. Zero when the process has ended. */
  async memoryMib(): Promise<number> {
    const text = await readFile(`/proc/${this.service.pid}/statm`, "latin1").catch(() => "0 0");
    return (Number(text.split(" ")[1]) * 4_096) / MIB;
  }

  /** Attacks. Returns the record of an honest client, the cost, what is left, and whether the process still runs. */
  async endure(attack: () => Promise<void>, harm: Harm = {}): Promise<Figure[]> {
    const before = await this.memoryMib();
    let most = before;
    const timer = setInterval(() => void this.memoryMib().then((now) => (most = Math.max(most, now))), SAMPLE_MS);
    const { durations, faults } = await this.#probe.during(attack).finally(() => clearInterval(timer));
    const figures = [
      exactly("exits", (await this.memoryMib()) === 0 ? 1 : 0, 0),
      counted("probes", durations.length, { atLeast: 1 }),
      exactly(`probe failures${faults.length === 0 ? "" : ` (${faults[0]})`}`, faults.length, 0),
      exactly("calls left", await this.#callsLeft(), 0),
      measured("probe p99 ms", quantile(durations, 0.99), atMost(harm.probeMs)),
      measured("memory +MiB", most - before, atMost(harm.memoryMib)),
    ];
    if (harm.memoryAfterMib !== undefined) {
      await pause(SETTLE_MS);
      figures.push(measured("5 s later +MiB", (await this.memoryMib()) - before, atMost(harm.memoryAfterMib)));
    }
    return figures;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }

  /** The calls in flight when their number no longer falls. */
  async #callsLeft(): Promise<number> {
    const end = performance.now() + LEFT_BEHIND_MS;
    let left = Infinity;
    while (left !== 0 && performance.now() < end) {
      left = await this.#callsInFlight().catch(() => Infinity);
      await pause(LOOK_EVERY_MS);
    }
    return left;
  }

  async #callsInFlight(): Promise<number> {
    using connection = await this.open("http", "http/1.1");
    connection.read().socket.write("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    await connection.closed(LEFT_BEHIND_MS);
    return Number(/^vehicle_calls_in_flight (\d+)$/m.exec(connection.received.toString("latin1"))?.[1]);
  }

  async #warmUp(): Promise<void> {
    const nodeOptions = this.ca === undefined ? {} : { ca: this.ca };
    const { lookup } = createClient(VehicleService, createGrpcTransport({ baseUrl: this.url, nodeOptions }));
    for (let call = 0; call < WARM_UP_CALLS; call += 8) {
      await Promise.all(Array.from({ length: 8 }, () => lookup({ vin: CACHED_VIN })));
    }
  }
}

function atMost(limit: number | undefined): { readonly atMost?: number } {
  return limit === undefined ? {} : { atMost: limit };
}
