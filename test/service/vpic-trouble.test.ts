import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { clientOf } from "../support/clients.ts";
import { errorOf } from "../support/error-of.ts";
import { portOf } from "../support/port-of.ts";
import { manyVins } from "../support/real-vins.ts";
import { directoryWithSnapshot } from "../support/shared.ts";
import type { TestApp, TestAppOptions } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";

/** Long enough for callers to be answered on a busy machine. */
const PATIENT = { timeoutMs: 30_000 };
/** Nothing listens there. */
const REFUSED = "http://127.0.0.1:9/api";

test("with 30 % of vPIC's answers failing, all callers have its answer at their first Lookup", async () => {
  let requests = 0;
  const failuresOf = new Map<string, number>();
  await using app = await startTestApp({
    env: { VPIC_PATIENCE: "60s", VPIC_REQUESTS_PER_SECOND: "1000" },
    vpic: {
      // The third, sixth and ninth request of every ten, but no VIN in all of its attempts.
      respondWith({ vins: [first = ""] }) {
        const failures = failuresOf.get(first) ?? 0;
        const fails = requests++ % 10 > 0 && requests % 3 === 0 && failures < 2;
        failuresOf.set(first, failures + (fails ? 1 : 0));
        return fails ? { kind: "status", status: 503 } : undefined;
      },
    },
  });
  const client = clientOf(app);

  const answers = await Promise.all(manyVins(300).map((vin) => client.lookup({ vin }, PATIENT)));

  expect(new Set(answers.map(({ source }) => source))).toEqual(new Set([Source.VPIC]));
  expect([...failuresOf.values()].some((failures) => failures > 0)).toBe(true);
});

test("a thousand callers that want one uncached VIN cause one request to vPIC", async () => {
  const all = Promise.withResolvers<undefined>();
  await using app = await startTestApp({
    env: { VPIC_PATIENCE: "60s" },
    vpic: { respondWith: { kind: "answer", until: all.promise } },
  });
  const client = clientOf(app);
  const [vin = ""] = manyVins(1);

  const answers = Promise.all(Array.from({ length: 1_000 }, () => client.lookup({ vin }, PATIENT)));
  await expect.poll(() => app.vpic.vins).toContain(vin);
  all.resolve(undefined);

  expect(new Set((await answers).map(({ make }) => make))).toEqual(new Set(["PETERBILT"]));
  expect(app.vpic.requests).toHaveLength(1);
});

test.each(["grpc", "grpc-web", "connect"] as const)(
  "without vPIC and without a snapshot, a caller over %s is told to retry later",
  async (protocol) => {
    await using app = await startTestApp({ env: { VPIC_URL: REFUSED } });
    const [vin = ""] = manyVins(1);

    const error = await errorOf(clientOf(app, protocol).lookup({ vin }, PATIENT));

    expect(error.code).toBe(Code.Unavailable);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "NO_SOURCE_AVAILABLE" }]);
    expect(error.findDetails(RetryInfoSchema)).toHaveLength(1);
  },
);

describe("with a snapshot", () => {
  let directory: Awaited<ReturnType<typeof directoryWithSnapshot>>;
  let apps = 0;

  beforeAll(async () => {
    directory = await directoryWithSnapshot();
  });

  afterAll(() => directory[Symbol.asyncDispose]());

  /** Starts a service with a cache of its own, and waits for the snapshot. */
  async function start({ env, ...options }: TestAppOptions): Promise<TestApp> {
    const app = await startTestApp({
      ...options,
      env: {
        SOURCES: "vpic,snapshot",
        DATA_DIR: directory.path,
        DATABASE_URL: `sqlite:${join(directory.path, String(apps++))}.db`,
        ...env,
      },
    });
    await expect.poll(() => app.logger.lines.map(({ message }) => message)).toContain("snapshot ready");
    return app;
  }

  test("a caller has the snapshot's answer when vPIC takes too long, and the next one has vPIC's", async () => {
    const answered = Promise.withResolvers<undefined>();
    await using app = await start({
      env: { VPIC_PATIENCE: "100ms" },
      vpic: { respondWith: { kind: "answer", until: answered.promise } },
    });
    const client = clientOf(app);
    const [vin = ""] = manyVins(1);

    const first = await client.lookup({ vin }, PATIENT);
    answered.resolve(undefined);
    await expect.poll(async () => (await client.lookup({ vin }, PATIENT)).source).toBe(Source.VPIC);
    const next = await client.lookup({ vin }, PATIENT);

    expect(first).toMatchObject({ source: Source.SNAPSHOT, cached: false });
    expect(next).toMatchObject({ source: Source.VPIC, cached: true });
    expect(app.vpic.vins.filter((asked) => asked === vin)).toHaveLength(1);
  });

  test("callers have the snapshot's answers when vPIC is unreachable", async () => {
    await using app = await start({ env: { VPIC_URL: REFUSED } });
    const client = clientOf(app);

    const answers = await Promise.all(manyVins(20).map((vin) => client.lookup({ vin }, PATIENT)));

    expect(new Set(answers.map(({ source }) => source))).toEqual(new Set([Source.SNAPSHOT]));
  });

  test("callers have the snapshot's answers when vPIC accepts connections but sends nothing, not even a TLS handshake", async () => {
    await using abyss = createServer((socket) => socket.on("error", () => socket.destroy()).resume());
    await once(abyss.listen(0, "127.0.0.1"), "listening");
    await using app = await start({
      env: { VPIC_URL: `https://127.0.0.1:${portOf(abyss)}/api`, VPIC_PATIENCE: "100ms" },
    });
    const client = clientOf(app);

    const answers = await Promise.all(manyVins(20).map((vin) => client.lookup({ vin }, PATIENT)));

    expect(new Set(answers.map(({ source }) => source))).toEqual(new Set([Source.SNAPSHOT]));
  });

  test("a VIN that vPIC never answers is answered by the snapshot, and the others by vPIC", async () => {
    const [bad = "", ...good] = manyVins(4);
    await using app = await start({
      env: { VPIC_PATIENCE: "60s", CACHE_SNAPSHOT_FOR: "1ms" },
      vpic: { respondWith: ({ vins }) => (vins.includes(bad) ? { kind: "missing-rows", vins: [bad] } : undefined) },
    });
    const client = clientOf(app);

    const answers = [];
    for (const vin of [bad, bad, bad, bad, ...good]) {
      answers.push(await client.lookup({ vin }, PATIENT));
    }

    const { SNAPSHOT, VPIC } = Source;
    expect(answers.map(({ source }) => source)).toEqual([...Array(4).fill(SNAPSHOT), VPIC, VPIC, VPIC]);
    expect(app.vpic.vins.filter((vin) => vin === bad)).toHaveLength(4);
  });

  // The tests of the vPIC client cover every fault of an answer; these cover the whole way to the caller.
  test.each(["wrong-vin", "html", "cut-json"] as const)(
    "an answer of vPIC with the fault %s is neither returned nor stored",
    async (kind) => {
      await using app = await start({ vpic: { respondWith: { kind } } });
      const client = clientOf(app);
      const [vin = ""] = manyVins(1);

      const first = await client.lookup({ vin }, PATIENT);
      const second = await client.lookup({ vin }, PATIENT);

      expect(first).toMatchObject({ vin, make: "PETERBILT", source: Source.SNAPSHOT });
      expect(second.source).toBe(Source.SNAPSHOT);
    },
  );
});
