import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { clientOver } from "../support/clients.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { ServiceProcess } from "../support/service-process.ts";
import type { MakeCall } from "../support/steady-calls.ts";
import { SteadyCalls } from "../support/steady-calls.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { writeTls } from "../support/tls-on-disk.ts";
import type { Figure } from "./finding.ts";
import { measured, none } from "./finding.ts";
import type { Way } from "./ways.ts";
import { CACHED_VIN, CONNECT, GRPC } from "./ways.ts";

const PAGES_PER_MIB = 256;
const WARM_UP_CALLS = 750;
/** The longest time limit of a Lookup, so that none times out on a busy machine. */
const DEADLINE_MS = 30_000;
const SAMPLE_MS = 50;
const SETTLE_MS = 5_000;
const LOOK_EVERY_MS = 20;
/** The time within which everything left by an attack must end. Nothing takes this long unless something is wrong. */
const LEFT_BEHIND_MS = 60_000;

/** vPIC is the only source. Nothing is limited by address, because all callers of an attack have the same. */
export const UNLIMITED = {
  SOURCES: "vpic",
  VPIC_REQUESTS_PER_SECOND: "1000",
  CONNECTIONS_PER_ADDRESS: "unlimited",
  RATE_LIMIT_PER_SECOND: "1000000",
  RATE_LIMIT_BURST: "1000000",
};

interface TargetOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly isSecured?: boolean;
  /** Whether to first make calls until code is compiled and the heap has grown, so that attacks do not count it. */
  readonly isWarm?: boolean;
  /** The `authorization` of honest callers. */
  readonly authorization?: string;
}

/** The service in a process of its own, with a fake vPIC, a vehicle in its cache, and honest callers. */
export class Target implements AsyncDisposable {
  readonly service: ServiceProcess;
  /** The authority of the service's certificate, as PEM. Without it, the service has no TLS. */
  readonly ca: string | undefined;
  /** Make a cached Lookup, over gRPC on one port and over Connect on the other. */
  readonly #probes: readonly MakeCall[];
  readonly #owned: AsyncDisposableStack;

  private constructor(
    service: ServiceProcess,
    ca: string | undefined,
    probes: MakeCall[],
    owned: AsyncDisposableStack,
  ) {
    this.service = service;
    this.ca = ca;
    this.#probes = probes;
    this.#owned = owned;
  }

  static async start({ env, isSecured, isWarm, authorization }: TargetOptions = {}): Promise<Target> {
    await using starting = new AsyncDisposableStack();
    const { path } = starting.use(await temporaryDirectory());
    const vpic = starting.use(await startFakeVpic());
    const disk = isSecured === true ? starting.use(await writeTls()) : undefined;
    const service = starting.use(
      await ServiceProcess.start({ DATA_DIR: path, VPIC_URL: vpic.url, ...UNLIMITED, ...disk?.env, ...env }),
    );
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    const options = { headers, timeoutMs: DEADLINE_MS };
    const grpc = clientOver(GRPC, { address: service.grpcAddress, ca: disk?.ca });
    const connect = clientOver(CONNECT, { address: service.httpAddress, ca: disk?.ca });
    const probes = [grpc, connect].map((client) => () => client.lookup({ vin: CACHED_VIN }, options));
    for (let call = 0; call < (isWarm === true ? WARM_UP_CALLS : 1); call++) {
      await Promise.all(probes.map((probe) => probe()));
    }
    return new Target(service, disk?.ca, probes, starting.move());
  }

  /**
   * Opens a connection, with a TLS handshake if the service uses TLS. By its turn, it goes to one of the two ports,
   * because both speak every protocol, and comes from one of 16 addresses, because one does not have enough ports.
   */
  open({ http }: Pick<Way, "http">, turn = 0): Promise<RawConnection> {
    const address = turn % 2 === 0 ? this.service.httpAddress : this.service.grpcAddress;
    const protocol = http === "2" ? "h2" : "http/1.1";
    const tls = this.ca === undefined ? undefined : ({ ca: this.ca, protocol } as const);
    return RawConnection.open(address, `127.0.0.${2 + (turn % 16)}`, tls);
  }

  /** Current resident memory, in MiB. Zero when the process has ended. */
  async memoryMib(): Promise<number> {
    const text = await readFile(`/proc/${this.service.pid}/statm`, "latin1").catch(() => "0 0");
    return Number(text.split(" ")[1]) / PAGES_PER_MIB;
  }

  /**
   * Attacks beside honest callers. Returns how these fared, the cost, what is left, and whether the process still runs.
   *
   * @param harm the bounds: of the probes' p99, of memory, and of the memory that it still takes 5 s later
   */
  async endure(
    attack: () => Promise<unknown>,
    harm: { readonly probeMs?: number; readonly memoryMib?: number; readonly memoryAfterMib?: number } = {},
  ): Promise<Figure[]> {
    const before = await this.memoryMib();
    let most = before;
    const durations: number[] = [];
    const probe = async (lookUp: MakeCall): Promise<void> => {
      const startedAt = performance.now();
      await lookUp();
      durations.push(performance.now() - startedAt);
    };
    const callers = [...this.#probes, ...this.#probes].map((lookUp, index) => [`probe ${index}`, () => probe(lookUp)]);
    await using calls = new SteadyCalls(Object.fromEntries(callers));
    const timer = setInterval(() => void this.memoryMib().then((now) => (most = Math.max(most, now))), SAMPLE_MS);
    await attack().finally(() => clearInterval(timer));
    // The first one may have begun before.
    await calls.more(2);
    const failures = await calls.stop();
    const sorted = durations.toSorted((one, other) => one - other);
    const isRunning = (await this.memoryMib()) > 0;
    const figures = [
      none("exits", isRunning ? 0 : 1),
      none(`probe failures (${failures[0] ?? "none"})`, failures.length),
      none("calls left", isRunning ? await this.#callsLeft() : Number.NaN),
      measured("probe p99 ms", sorted[Math.floor(0.99 * sorted.length)] ?? Number.NaN, harm.probeMs),
      measured("memory +MiB", most - before, harm.memoryMib),
    ];
    if (harm.memoryAfterMib !== undefined) {
      await pause(SETTLE_MS);
      figures.push(measured("5 s later +MiB", (await this.memoryMib()) - before, harm.memoryAfterMib));
    }
    return figures;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }

  /** The calls in flight when their number no longer falls. */
  async #callsLeft(): Promise<number> {
    const end = performance.now() + LEFT_BEHIND_MS;
    let left = Number.NaN;
    while (left !== 0 && performance.now() < end) {
      using connection = await this.open({ http: "1.1" });
      connection.read().socket.write("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
      await connection.closed(LEFT_BEHIND_MS);
      left = Number(/^vehicle_calls_in_flight (\d+)$/m.exec(connection.received.toString("latin1"))?.[1]);
      await pause(LOOK_EVERY_MS);
    }
    return left;
  }
}
