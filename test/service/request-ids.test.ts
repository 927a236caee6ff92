import { expect, test } from "vitest";
import { createLogger } from "../../src/telemetry/logger.ts";
import { clientOf } from "../support/clients.ts";
import { errorOf } from "../support/error-of.ts";
import { manyVins } from "../support/real-vins.ts";
import { startTestApp } from "../support/test-app.ts";

const [LOOKED_UP = "", ...BATCH] = manyVins(4);
const FAULTS = ["a request to vPIC failed", "a source cannot answer"];

test.each(["grpc", "grpc-web", "connect"] as const)(
  "every log line of a call over %s has its request id, including those of vPIC and the export",
  async (protocol) => {
    const written: string[] = [];
    // Its own service: after a few failures, the circuit breaker opens.
    await using app = await startTestApp({
      log: createLogger("debug", { write: (line) => written.push(line) }),
      vpic: { respondWith: { kind: "status", status: 400 } },
    });
    const client = clientOf(app, protocol);
    const named = (requestId: string) => ({ headers: { "x-request-id": requestId } });
    /** The messages that were logged under a request id, each once. */
    const messagesOf = (requestId: string): unknown[] => {
      const lines = written.map((line) => JSON.parse(line));
      return [...new Set(lines.filter((line) => line.requestId === requestId).map(({ msg }) => msg))];
    };

    await errorOf(client.lookup({ vin: LOOKED_UP }, named("the-lookup")));
    await Array.fromAsync(client.batchLookup({ vins: BATCH }, named("the-batch")));
    const response = await fetch(`http://${app.httpAddress}/export.parquet`, named("the-export"));
    await response.bytes();

    await expect.poll(() => messagesOf("the-lookup")).toEqual(expect.arrayContaining([...FAULTS, "call failed"]));
    await expect.poll(() => messagesOf("the-batch")).toEqual(expect.arrayContaining([...FAULTS, "call ended"]));
    await expect.poll(() => messagesOf("the-export")).toEqual(["export written", "audit", "call ended"]);
  },
);
