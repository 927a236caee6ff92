/**
 * Measures the cost of the vPIC source and what it sends. Run: `node --expose-gc test/bench/vpic.ts`
 */
import type { VpicTransport } from "../../src/vpic/vpic-client.ts";
import type { VpicPolicyOptions } from "../../src/vpic/vpic-source.ts";
import { createVpicSource, VpicSource } from "../../src/vpic/vpic-source.ts";
import { toRow } from "../support/fake-vpic-answers.ts";
import type { FakeVpicOptions, ReceivedRequest } from "../support/fake-vpic.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { never, toVins } from "../vpic/vins.ts";

interface Run {
  readonly answered: number;
  readonly elapsedMs: number;
  readonly requests: readonly ReceivedRequest[];
}

async function run(count: number, fakeOptions: FakeVpicOptions, options: Partial<VpicPolicyOptions>): Promise<Run> {
  await using vpic = await startFakeVpic(fakeOptions);
  await using source = createVpicSource({
    baseUrl: vpic.url,
    userAgent: "VehicleService/bench",
    logger: new MemoryLogger(),
    ...options,
  });
  const startedAt = performance.now();
  const outcomes = await Promise.allSettled(toVins(count).map((vin) => source.decode({ vin }, never())));
  return {
    answered: outcomes.filter(({ status }) => status === "fulfilled").length,
    elapsedMs: Math.round(performance.now() - startedAt),
    requests: vpic.requests,
  };
}

async function measureOverhead(
  count: number,
): Promise<{ readonly usPerDecode: number; readonly heapGrowthKiB: number }> {
  const transport: VpicTransport = {
    fetchRows: async (queries) =>
      await Promise.resolve(queries.map(({ vin }) => ({ ...toRow({ vin, modelYear: undefined }, {}), VIN: vin }))),
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  };
  await using source = new VpicSource({ logger: new MemoryLogger(), requestsPerSecond: 1e6 }, transport);
  const vins = toVins(count);
  const heapBefore = heapUsed();
  const startedAt = performance.now();
  for (const vin of vins) {
    await source.decode({ vin }, never());
    // The event loop turns, as with a real network. Only then are weak references released.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const elapsedMs = performance.now() - startedAt;
  await new Promise((resolve) => setTimeout(resolve, 100));
  return {
    usPerDecode: Math.round((elapsedMs * 1_000) / count),
    heapGrowthKiB: Math.round((heapUsed() - heapBefore) / 1_024),
  };
}

function heapUsed(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

const gathered = await run(1_000, { delayMs: 200 }, {});
console.log(
  `1,000 VINs at once at 200 ms: ${gathered.requests.length} requests, ${gathered.answered} answered, ${gathered.elapsedMs} ms`,
);

const failing = await run(
  5_000,
  {
    delayMs: 20,
    respondWith: ({ number }) =>
      Math.floor(number * 0.3) > Math.floor((number - 1) * 0.3) ? { kind: "status", status: 503 } : undefined,
  },
  { requestsPerSecond: 1_000 },
);
const needed = failing.requests.length - Math.floor(failing.requests.length * 0.3);
console.log(
  `30 % failures, 5,000 VINs: ${failing.requests.length} requests for ${needed} needed, ${failing.answered} answered, ${failing.elapsedMs} ms`,
);

await measureOverhead(1_000);
const small = await measureOverhead(5_000);
const large = await measureOverhead(20_000);
console.log(`overhead of the policies: ${large.usPerDecode} us a decode`);
console.log(`heap growth: ${small.heapGrowthKiB} KiB after 5,000 decodes, ${large.heapGrowthKiB} KiB after 20,000`);
