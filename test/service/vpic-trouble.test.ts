import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { clientOf } from "../support/clients.ts";
import { manyVins } from "../support/real-vins.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { startTestApp } from "../support/test-app.ts";

const BOTH = { SOURCES: "vpic,snapshot" };

/** Where the snapshot is unpacked once for several tests. */
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;

beforeAll(async () => {
  directory = await temporaryDirectory();
});

afterAll(() => directory[Symbol.asyncDispose]());

test("with 30 % of vPIC's answers failing, 97 % have its answer at the first Lookup, and 99 % within four", async () => {
  let requests = 0;
  const failuresOf = new Map<string, number>();
  await using app = await startTestApp({
    env: { ...BOTH, VPIC_REQUESTS_PER_SECOND: "50", CACHE_SNAPSHOT_FOR: "1ms" },
    vpic: {
      delayMs: 20,
      // The third, sixth and ninth of every ten, but no batch three times: that would be one in a tenth of all runs.
      respondWith({ vins: [first = ""] }) {
        const failures = failuresOf.get(first) ?? 0;
        const fails = requests++ % 10 > 0 && requests % 3 === 0 && failures < 2;
        failuresOf.set(first, failures + (fails ? 1 : 0));
        return fails ? { kind: "status", status: 503 } : undefined;
      },
    },
  });
  const client = clientOf(app);
  await client.lookup({ vin: "1M8GDM9AXKP042788" });
  const vins = manyVins(500);
  const isFromVpic = async (vin: string): Promise<boolean> => (await client.lookup({ vin })).source === Source.VPIC;

  const first = await Promise.all(vins.map(isFromVpic));
  let unanswered = vins.filter((_, index) => first[index] !== true);
  const afterFirst = unanswered.length;
  for (let lookup = 2; lookup <= 4; lookup++) {
    const again = await Promise.all(unanswered.map(isFromVpic));
    unanswered = unanswered.filter((_, index) => again[index] !== true);
  }

  expect(afterFirst).toBeLessThanOrEqual(0.03 * vins.length);
  expect(unanswered.length).toBeLessThanOrEqual(0.01 * vins.length);
});

test("with vPIC answering after 3 s, the caller has the snapshot's answer at 2 s, and the next has vPIC's", async () => {
  await using app = await startTestApp({ env: BOTH, vpic: { delayMs: 3_000 } });
  const client = clientOf(app);
  const [vin = "", other = ""] = manyVins(2);
  // Until the snapshot is unpacked.
  await client.lookup({ vin: other });

  const startedAt = performance.now();
  const first = await client.lookup({ vin });
  const firstAfterMs = performance.now() - startedAt;
  await expect.poll(async () => (await client.lookup({ vin })).source, { timeout: 3_000 }).toBe(Source.VPIC);
  const next = await client.lookup({ vin });

  expect(first).toMatchObject({ source: Source.SNAPSHOT, cached: false });
  expect(firstAfterMs).toBeGreaterThan(1_990);
  expect(firstAfterMs).toBeLessThan(2_500);
  expect(next).toMatchObject({ source: Source.VPIC, cached: true });
  expect(app.vpic.vins.filter((asked) => asked === vin)).toHaveLength(1);
});

test("a thousand callers of one cold VIN are one request to vPIC", async () => {
  await using app = await startTestApp({ vpic: { delayMs: 200 } });
  const client = clientOf(app);
  const [vin = ""] = manyVins(1);

  const answers = await Promise.all(Array.from({ length: 1_000 }, () => client.lookup({ vin })));

  expect(new Set(answers.map(({ make }) => make))).toEqual(new Set(["PETERBILT"]));
  expect(app.vpic.requests).toHaveLength(1);
});

test.each(["wrong-vin", "html", "missing-rows", "cut", "cut-json", "xml", "redirect"] as const)(
  "what vPIC sends as %s is never given out nor kept",
  async (kind) => {
    const own = { DATABASE_URL: `sqlite:${join(directory.path, kind)}.db` };
    await using app = await startTestApp({ env: { ...BOTH, ...own, DATA_DIR: directory.path } });
    app.vpic.respondWith(kind === "redirect" ? { kind, location: app.vpic.url } : { kind });
    const client = clientOf(app);
    const [vin = ""] = manyVins(1);

    const first = await client.lookup({ vin });
    const second = await client.lookup({ vin });

    expect(first).toMatchObject({ vin, make: "PETERBILT", source: Source.SNAPSHOT });
    expect(second.source).toBe(Source.SNAPSHOT);
  },
);
