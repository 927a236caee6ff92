import { afterEach, describe, expect, test } from "vitest";
import { Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { clientOf } from "../support/clients.ts";
import { manyVins } from "../support/real-vins.ts";
import type { TestApp, TestAppOptions } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";

/** The longest that a busy machine may take. */
const PATIENT = { VPIC_PATIENCE: "100s" };

describe("a batch", () => {
  let app: TestApp;

  async function start(options: TestAppOptions): Promise<void> {
    app = await startTestApp(options);
  }

  afterEach(() => app[Symbol.asyncDispose]());

  test("of a thousand VINs that are not cached takes at most 25 requests to vPIC, which answers all of them", async () => {
    await start({ env: PATIENT });

    const answers = await Array.fromAsync(clientOf(app).batchLookup({ vins: manyVins(1_000) }));

    expect(app.vpic.requests.length).toBeLessThanOrEqual(25);
    expect(new Set(answers.map(({ index }) => index)).size).toBe(1_000);
    expect(answers.every(({ result }) => result.case === "vehicle" && result.value.source === Source.VPIC)).toBe(true);
  });

  test("that is half cached returns its hits before its misses", async () => {
    const hitsRead = Promise.withResolvers<undefined>();
    await start({ env: PATIENT });
    const vins = manyVins(200);
    const cached = vins.filter((_, index) => index % 2 === 1);
    await Array.fromAsync(clientOf(app).batchLookup({ vins: cached }));
    app.vpic.respondWith({ kind: "answer", until: hitsRead.promise });

    const isHit: boolean[] = [];
    for await (const { result } of clientOf(app).batchLookup({ vins })) {
      isHit.push(result.case === "vehicle" && result.value.cached);
      if (isHit.length === cached.length) {
        hitsRead.resolve(undefined);
      }
    }

    expect(isHit).toEqual([...Array(100).fill(true), ...Array(100).fill(false)]);
  });

  test("sends vPIC nothing more when its caller leaves", async () => {
    await start({ env: PATIENT, vpic: { respondWith: { kind: "silence" } } });
    const caller = new AbortController();

    const reading = Array.fromAsync(clientOf(app).batchLookup({ vins: manyVins(5_000) }, { signal: caller.signal }));
    // The most that may run at once. More wait behind them.
    await expect.poll(() => app.vpic.requests.length).toBe(8);
    caller.abort();
    await expect(reading).rejects.toThrow("[canceled]");
    app.vpic.respondWith();
    await clientOf(app).lookup({ vin: "1M8GDM9AXKP042788" }, { timeoutMs: 30_000 });
    await clientOf(app).lookup({ vin: "5GZCZ43D13S812715" }, { timeoutMs: 30_000 });

    expect(app.vpic.vins.slice(-2)).toEqual(["1M8GDM9AXKP042788", "5GZCZ43D13S812715"]);
    expect(app.vpic.requests).toHaveLength(8 + 2);
  });

  test.each(["grpc", "grpc-web", "connect"] as const)(
    "of more than 5,000 VINs, or of more bytes than these take, is refused over %s",
    async (protocol) => {
      await start({});
      const client = clientOf(app, protocol);

      const tooMany = Array.fromAsync(client.batchLookup({ vins: [...manyVins(5_000), "1XPWD40X1ED215307"] }));
      await expect(tooMany).rejects.toThrow("[invalid_argument] vins: 5001 VINs are too many for one batch");

      const tooLarge = Array.fromAsync(client.batchLookup({ vins: ["x".repeat(300_000)] }));
      await expect(tooLarge).rejects.toThrow("[resource_exhausted]");

      expect(app.vpic.requests).toHaveLength(0);
    },
  );
});
