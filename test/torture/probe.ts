import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { once } from "node:events";

export interface ProbeTarget {
  readonly grpcAddress: string;
  readonly httpAddress: string;
  /** A vehicle that is in the cache or that vPIC knows. */
  readonly vin: string;
  /** The authority of the certificate, as PEM. Without it, the service has no TLS. */
  readonly ca?: string | undefined;
  readonly authorization?: string | undefined;
}

/** The record of an honest client. */
export interface ProbeResults {
  /** The duration of each call, in ms. */
  readonly durations: readonly number[];
  /** The failures. */
  readonly faults: readonly string[];
}

/** An honest client in a process of its own, so that the attacker's work does not delay it. */
export class Probe implements AsyncDisposable {
  readonly #client: ChildProcess;

  private constructor(client: ChildProcess) {
    this.#client = client;
  }

  /** Starts it, and makes its connections and first calls. */
  static async start(target: ProbeTarget): Promise<Probe> {
    const probe = new Probe(fork(new URL("probe-client.ts", import.meta.url), [JSON.stringify(target)]));
    await probe.#answer();
    return probe;
  }

  /**
   * Makes a cached Lookup every 50 ms over gRPC on one port and over Connect on the other while something else happens,
   * and one more of each afterwards. Makes none while 16 wait for their answers.
   */
  async during(work: () => Promise<void>): Promise<ProbeResults> {
    this.#client.send("begin");
    try {
      await work();
    } finally {
      this.#client.send("end");
    }
    return this.#answer();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#client, "exit");
    this.#client.kill();
    await gone;
  }

  async #answer(): Promise<ProbeResults> {
    const [results]: ProbeResults[] = await once(this.#client, "message");
    if (results === undefined) {
      throw new Error("the probe ended without a result");
    }
    return results;
  }
}

/** The value that is greater than this share of the values; NaN when there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
