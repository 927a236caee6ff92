import { expect, test } from "vitest";
import { clientOf } from "../support/clients.ts";
import { errorOf } from "../support/error-of.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { manyVins } from "../support/real-vins.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const [LOOKED_UP = "", ...BATCH] = manyVins(4);
const FAULTS = ["an attempt to ask vPIC failed", "a source cannot answer", "call ended"];

/** The messages that were logged under a request id, each once. */
function messagesOf(requestId: string, { log }: ServiceProcess): unknown[] {
  return [...new Set(log.filter((line) => line["requestId"] === requestId).map(({ msg }) => msg))];
}

test.each(["grpc", "grpc-web", "connect"] as const)(
  "what a call over %s comes to is logged under its request id, however deep down it happens",
  async (protocol) => {
    await using directory = await temporaryDirectory();
    await using vpic = await startFakeVpic({ respondWith: { kind: "status", status: 400 } });
    // Its own: after a few failures vPIC is left alone.
    await using service = await ServiceProcess.start({
      DATA_DIR: directory.path,
      SOURCES: "vpic",
      VPIC_URL: vpic.url,
      LOG_LEVEL: "debug",
    });
    const client = clientOf(service, protocol);
    const named = (requestId: string) => ({ headers: { "x-request-id": requestId } });

    await errorOf(client.lookup({ vin: LOOKED_UP }, named("the-lookup")));
    await Array.fromAsync(client.batchLookup({ vins: BATCH }, named("the-batch")));
    const response = await fetch(`http://${service.httpAddress}/export.parquet`, named("the-export"));
    await response.bytes();

    await expect.poll(() => messagesOf("the-lookup", service)).toEqual(expect.arrayContaining(FAULTS));
    await expect.poll(() => messagesOf("the-batch", service)).toEqual(expect.arrayContaining(FAULTS));
    await expect.poll(() => messagesOf("the-export", service)).toEqual(["export written", "audit", "call ended"]);
  },
);
