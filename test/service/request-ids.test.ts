import { expect, test } from "vitest";
import { clientOf } from "../support/clients.ts";
import { errorOf } from "../support/error-of.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { manyVins } from "../support/real-vins.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const [LOOKED_UP = "", ...BATCH] = manyVins(4);
const FAULTS = ["an attempt to ask vPIC failed", "a source cannot answer", "call ended"];

test.each(["grpc", "grpc-web", "connect"] as const)(
  "what a call over %s comes to is logged under its request id, however deep down it happens",
  async (protocol) => {
    await using directory = await temporaryDirectory();
    await using vpic = await startFakeVpic({ respondWith: { kind: "status", status: 400 } });
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
    await expect.poll(() => service.log.filter(({ msg }) => msg === "call ended").length).toBe(2);

    const idsOf = (message: string): unknown[] => [
      ...new Set(service.log.filter(({ msg }) => msg === message).map(({ requestId }) => requestId)),
    ];
    expect(FAULTS.map(idsOf)).toEqual(FAULTS.map(() => ["the-lookup", "the-batch"]));
  },
);

test("what an export by GET comes to is logged under its request id", async () => {
  await using directory = await temporaryDirectory();
  await using service = await ServiceProcess.start({ DATA_DIR: directory.path, SOURCES: "vpic" });

  await fetch(`http://${service.httpAddress}/export.parquet`, { headers: { "x-request-id": "the-export" } });
  await service.logged("audit");

  expect(service.log.filter(({ requestId }) => requestId === "the-export").map(({ msg }) => msg)).toEqual([
    "export written",
    "audit",
  ]);
});
