import { readFile } from "node:fs/promises";

import { clientOf } from "../support/clients.ts";
import type { FakeVpic } from "../support/fake-vpic.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { Figure } from "./finding.ts";
import type { ProbeResults } from "./probe.ts";
import { withProbe } from "./probe.ts";

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
  readonly #owned: AsyncDisposableStack;

  private constructor(service: ServiceProcess, vpic: FakeVpic, dataDir: string, owned: AsyncDisposableStack) {
    this.service = service;
    this.vpic = vpic;
    this.dataDir = dataDir;
    this.#owned = owned;
  }

  /** Connections and calls are not limited by address unless the environment says so. */
  static async start(env: Readonly<Record<string, string>> = {}): Promise<Target> {
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
    const target = new Target(service, vpic, directory.path, starting.move());
    await target.#warmUp();
    return target;
  }

  get grpcAddress(): string {
    return this.service.grpcAddress;
  }

  get httpAddress(): string {
    return this.service.httpAddress;
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
      probe = await withProbe({ ...this.#addresses(), vin: CACHED_VIN }, attack);
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

  #addresses(): { readonly grpcAddress: string; readonly httpAddress: string } {
    return { grpcAddress: this.grpcAddress, httpAddress: this.httpAddress };
  }

  /** The first calls compile code and let the heap grow; that is not an attack's doing. */
  async #warmUp(): Promise<void> {
    const clients = [clientOf(this, "grpc"), clientOf(this, "connect")];
    await clients[0]?.lookup({ vin: CACHED_VIN });
    for (let call = 0; call < WARM_UP_CALLS; call += 8) {
      await Promise.all(
        [...clients, ...clients, ...clients, ...clients].map((client) => client.lookup({ vin: CACHED_VIN })),
      );
    }
  }
}

/** Lets time pass: what is waited for is that nothing happens. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function limit(atMost: number | undefined): { readonly atMost?: number } {
  return atMost === undefined ? {} : { atMost };
}
