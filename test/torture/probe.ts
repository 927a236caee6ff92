import { fork } from "node:child_process";
import { once } from "node:events";

export interface ProbeTarget {
  readonly grpcAddress: string;
  readonly httpAddress: string;
  /** PEM of who signed the certificate; without it, the service speaks without TLS. */
  readonly ca?: string | undefined;
  /** A vehicle in the cache. */
  readonly vin: string;
}

/** What an honest client saw over one listener. */
export interface ProbeResult {
  calls: number;
  failures: number;
  maxMs: number;
  readonly causes: string[];
}

export interface ProbeResults {
  readonly grpc: ProbeResult;
  readonly http: ProbeResult;
}

/** What an attack leaves behind may still do harm when it is over. */
const AFTERMATH_MS = 500;

/** Does a cached Lookup every 50 ms over each listener while something else happens, and for half a second after. */
export async function withProbe(target: ProbeTarget, during: () => Promise<void>): Promise<ProbeResults> {
  const client = fork(new URL("probe-client.ts", import.meta.url), [JSON.stringify(target)]);
  const gone = once(client, "exit");
  try {
    await once(client, "message");
    await during();
    await new Promise((resolve) => {
      setTimeout(resolve, AFTERMATH_MS);
    });
    const answered = once(client, "message");
    client.send("stop");
    const [results]: ProbeResults[] = await answered;
    if (results === undefined) {
      throw new Error("the probe ended without a result");
    }
    return results;
  } finally {
    client.kill();
    await gone;
  }
}
