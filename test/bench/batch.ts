/**
 * Compares a batch of cached VINs with as many single Lookups, over gRPC. The service has a process of its own:
 * `node test/bench/batch.ts [VINs]`.
 */
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { manyVins } from "../support/real-vins.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { cpuMsOf, rssMbOf } from "./process-usage.ts";

const count = Number(process.argv[2] ?? 5_000);
const CONCURRENCY = 64;
const ROUNDS = 5;

await using directory = await temporaryDirectory();
await using vpic = await startFakeVpic();
await using service = await ServiceProcess.start({
  DATA_DIR: directory.path,
  SOURCES: "vpic",
  VPIC_URL: vpic.url,
  VPIC_REQUESTS_PER_SECOND: "1000",
  RATE_LIMIT_PER_SECOND: "1000000",
  RATE_LIMIT_BURST: "1000000",
});
const vins = manyVins(count);
// Without compression, as most clients.
const client = createClient(VehicleService, createGrpcTransport({ baseUrl: `http://${service.grpcAddress}` }));

async function batch(): Promise<void> {
  let answers = 0;
  for await (const { result } of client.batchLookup({ vins })) {
    answers += result.case === "vehicle" ? 1 : 0;
  }
  if (answers !== count) {
    throw new Error(`${answers} of ${count} VINs were answered with a vehicle`);
  }
}

async function singles(): Promise<void> {
  const waiting = vins.values();
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      for (const vin of waiting) {
        await client.lookup({ vin });
      }
    }),
  );
}

async function measure(work: () => Promise<void>): Promise<{ wallMs: number; serviceMs: number }> {
  const [startedAt, cpuBefore] = [performance.now(), await cpuMsOf(service.pid)];
  for (let round = 0; round < ROUNDS; round++) {
    await work();
  }
  return {
    wallMs: (performance.now() - startedAt) / ROUNDS,
    serviceMs: ((await cpuMsOf(service.pid)) - cpuBefore) / ROUNDS,
  };
}

await batch();
await singles();
const single = await measure(singles);
const rssBefore = await rssMbOf(service.pid);
const batched = await measure(batch);
const rssAfter = await rssMbOf(service.pid);

console.log(
  `${count} single Lookups, ${CONCURRENCY} at once: ${single.wallMs.toFixed(0)} ms, service CPU ${single.serviceMs.toFixed(0)} ms`,
);
console.log(`one batch of ${count}: ${batched.wallMs.toFixed(0)} ms, service CPU ${batched.serviceMs.toFixed(0)} ms`);
console.log(
  `ratio: ${(batched.wallMs / single.wallMs).toFixed(3)} of the time, ${(batched.serviceMs / single.serviceMs).toFixed(3)} of the service's CPU`,
);
console.log(`memory of the service grew by ${(rssAfter - rssBefore).toFixed(0)} MB`);
