import { ChildScript } from "../support/child-script.ts";

export interface ProbeTarget {
  readonly grpcAddress: string;
  readonly httpAddress: string;
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

/** "begin" starts the record, and "end" makes one more call of each kind and waits for all of them. */
export type ProbeOrder =
  | { readonly kind: "connect"; readonly target: ProbeTarget }
  | { readonly kind: "begin" }
  | { readonly kind: "end" };

/** An honest client in a process of its own, so that the attacker's work does not delay it. */
export class Probe extends ChildScript<ProbeOrder, ProbeResults> {
  /** Starts it, and makes its connections and first calls. */
  static async start(target: ProbeTarget): Promise<Probe> {
    const probe = new Probe(new URL("probe-client.ts", import.meta.url));
    await probe.ask({ kind: "connect", target });
    return probe;
  }

  /**
   * Makes a cached Lookup every 50 ms over gRPC on one port and over Connect on the other while something else happens,
   * and one more of each afterwards. Makes none while 16 wait for their answers.
   */
  async during(work: () => Promise<void>): Promise<ProbeResults> {
    await this.ask({ kind: "begin" });
    await work();
    return await this.ask({ kind: "end" });
  }
}

/** The value that is greater than this share of the values; NaN when there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
