import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";

import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { createAuthority } from "../support/certificates.ts";
import type { FakeVpic } from "../support/fake-vpic.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { Figure, Listener } from "./finding.ts";
import type { ProbeResults, ProbeTarget } from "./probe.ts";
import { withProbe } from "./probe.ts";
import { RawConnection } from "./raw-connection.ts";

/** A vehicle that every target has in its cache. */
export const CACHED_VIN = "1XPWD40X1ED215307";

const MIB = 1024 * 1024;
const SAMPLE_MS = 50;
const WARM_UP_CALLS = 1500;
const SETTLE_MS = 5000;

/** What an attack may do to everybody else. */
export interface Harm {
  readonly probeMs?: number;
  readonly memoryMib?: number;
  /** Memory 5 s after the attack, over that before it. */
  readonly memoryAfterMib?: number;
}

/** The service in a process of its own, with a vPIC of ours, warm and with a vehicle in its cache. */
export class Target implements AsyncDisposable {
  readonly service: ServiceProcess;
  readonly vpic: FakeVpic;
  readonly dataDir: string;
  /** PEM of who signed the certificate of the service; without it, it speaks without TLS. */
  readonly ca: string | undefined;
  readonly #owned: AsyncDisposableStack;

  private constructor(
    service: ServiceProcess,
    vpic: FakeVpic,
    dataDir: string,
    ca: string | undefined,
    owned: AsyncDisposableStack,
  ) {
    this.service = service;
    this.vpic = vpic;
    this.dataDir = dataDir;
    this.ca = ca;
    this.#owned = owned;
  }

  /** Connections and calls are not limited by address unless the environment says so. */
  static async start(env: Readonly<Record<string, string>> = {}): Promise<Target> {
    return await Target.#start(env, undefined);
  }

  /** The same with TLS on both ports, so that the HTTP port speaks HTTP/2 too. */
  static async startSecured(env: Readonly<Record<string, string>> = {}): Promise<Target> {
    const authority = createAuthority();
    await using starting = new AsyncDisposableStack();
    const directory = starting.use(await temporaryDirectory());
    const [certFile, keyFile] = [join(directory.path, "cert.pem"), join(directory.path, "key.pem")];
    const { cert, key } = authority.issue("localhost");
    await Promise.all([writeFile(certFile, cert), writeFile(keyFile, key)]);
    const target = await Target.#start({ TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile, ...env }, authority.cert);
    target.#owned.use(starting.move());
    return target;
  }

  static async #start(env: Readonly<Record<string, string>>, ca: string | undefined): Promise<Target> {
    await using starting = new AsyncDisposableStack();
    const directory = starting.use(await temporaryDirectory());
    const vpic = starting.use(await startFakeVpic());
    const service = starting.use(
      await ServiceProcess.start({
        DATA_DIR: directory.path,
        SOURCES: "vpic",
        VPIC_URL: vpic.url,
        CONNECTIONS_PER_ADDRESS: "unlimited",
        RATE_LIMIT_PER_SECOND: "1000000",
        RATE_LIMIT_BURST: "1000000",
        ...env,
      }),
    );
    const target = new Target(service, vpic, directory.path, ca, starting.move());
    await target.#warmUp();
    return target;
  }

  get grpcAddress(): string {
    return this.service.grpcAddress;
  }

  get httpAddress(): string {
    return this.service.httpAddress;
  }

  /** What starts URLs of the listeners. */
  get scheme(): "http" | "https" {
    return this.ca === undefined ? "http" : "https";
  }

  addressOf(listener: Listener): string {
    return listener === "gRPC" ? this.grpcAddress : this.httpAddress;
  }

  /**
   * A connection to a listener, which is only shaken hands with if it speaks TLS.
   *
   * @param from the address of loopback that it comes from
   */
  async open(listener: Listener, from?: string): Promise<RawConnection> {
    const protocol = listener === "HTTP" ? "http/1.1" : "h2";
    const tls = this.ca === undefined ? undefined : ({ ca: this.ca, protocol } as const);
    return await RawConnection.open(this.addressOf(listener), from, tls);
  }

  /** Resident memory now, in MiB. Zero when the process has ended. */
  async memoryMib(): Promise<number> {
    const text = await readFile(`/proc/${this.service.pid}/statm`, "latin1").catch(() => "0 0");
    return (Number(text.split(" ")[1]) * 4096) / MIB;
  }

  /** Attacks, and gives what an honest client saw meanwhile, what it cost in memory, and whether the process lives. */
  async endure(attack: () => Promise<void>, harm: Harm = {}): Promise<Figure[]> {
    const before = await this.memoryMib();
    let most = before;
    const timer = setInterval(() => void this.memoryMib().then((now) => (most = Math.max(most, now))), SAMPLE_MS);
    let probe: ProbeResults;
    try {
      probe = await withProbe(this.#probed(), attack);
    } finally {
      clearInterval(timer);
    }
    const figures: Figure[] = [
      { name: "exits", value: (await this.memoryMib()) === 0 ? 1 : 0, atMost: 0 },
      { name: "probes", value: probe.grpc.calls + probe.http.calls, atLeast: 1 },
      { name: "probe failures", value: probe.grpc.failures + probe.http.failures, atMost: 0 },
      { name: "gRPC probe ms", value: probe.grpc.maxMs, ...limit(harm.probeMs) },
      { name: "HTTP probe ms", value: probe.http.maxMs, ...limit(harm.probeMs) },
      { name: "memory +MiB", value: most - before, ...limit(harm.memoryMib) },
    ];
    if (harm.memoryAfterMib !== undefined) {
      await pause(SETTLE_MS);
      const after = (await this.memoryMib()) - before;
      figures.push({ name: "5 s later +MiB", value: after, atMost: harm.memoryAfterMib });
    }
    return figures;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }

  #probed(): ProbeTarget {
    return { grpcAddress: this.grpcAddress, httpAddress: this.httpAddress, vin: CACHED_VIN, ca: this.ca };
  }

  /** A client of a listener: of gRPC, or of Connect over the version of HTTP that it speaks. */
  clientOf(listener: Listener): Client<typeof VehicleService> {
    const nodeOptions = this.ca === undefined ? {} : { ca: this.ca };
    const baseUrl = `${this.scheme}://${this.addressOf(listener)}`;
    const httpVersion = listener === "HTTP" ? "1.1" : "2";
    return createClient(
      VehicleService,
      listener === "gRPC"
        ? createGrpcTransport({ baseUrl, nodeOptions })
        : createConnectTransport({ baseUrl, httpVersion, nodeOptions }),
    );
  }

  /** The first calls compile code and let the heap grow; that is not an attack's doing. */
  async #warmUp(): Promise<void> {
    const clients = [this.clientOf("gRPC"), this.clientOf(this.ca === undefined ? "HTTP" : "HTTP/2")];
    await clients[0]?.lookup({ vin: CACHED_VIN });
    for (let call = 0; call < WARM_UP_CALLS; call += 8) {
      await Promise.all(
        [...clients, ...clients, ...clients, ...clients].map((client) => client.lookup({ vin: CACHED_VIN })),
      );
    }
  }
}

/** Lets time pass: what is waited for is that nothing happens. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function limit(atMost: number | undefined): { readonly atMost?: number } {
  return atMost === undefined ? {} : { atMost };
}
