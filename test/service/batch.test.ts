import { describe, expect, test } from "vitest";
import { Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { clientOf } from "../support/clients.ts";
import { manyVins } from "../support/real-vins.ts";
import { startTestApp } from "../support/test-app.ts";

describe("a batch", () => {
  test("of a thousand cold VINs takes vPIC at most 25 requests, and all are answered by it within 6 s", async () => {
    await using app = await startTestApp({ vpic: { delayMs: 200 } });
    const vins = manyVins(1_000);
    const startedAt = performance.now();

    const answers = await Array.fromAsync(clientOf(app).batchLookup({ vins }));

    expect(performance.now() - startedAt).toBeLessThan(6_000);
    expect(app.vpic.requests.length).toBeLessThanOrEqual(25);
    expect(new Set(answers.map(({ index }) => index)).size).toBe(1_000);
    expect(answers.every(({ result }) => result.case === "vehicle" && result.value.source === Source.VPIC)).toBe(true);
  });

  test("that is half cached has its first answer within 50 ms, and its hits before its misses", async () => {
    await using app = await startTestApp();
    const client = clientOf(app);
    const vins = manyVins(200);
    const cached = vins.filter((_, index) => index % 2 === 1);
    await Array.fromAsync(client.batchLookup({ vins: cached }));
    app.vpic.delayMs = 500;
    const startedAt = performance.now();

    const answers = client.batchLookup({ vins })[Symbol.asyncIterator]();
    const first = await answers.next();
    const firstAfterMs = performance.now() - startedAt;
    const rest = await Array.fromAsync({ [Symbol.asyncIterator]: () => answers });

    const isHit = [first.value, ...rest].map(({ result }) => result.case === "vehicle" && result.value.cached);
    expect(firstAfterMs).toBeLessThan(50);
    expect(isHit).toEqual([...Array(100).fill(true), ...Array(100).fill(false)]);
  });

  test("asks vPIC for nothing more when its caller leaves", async () => {
    await using app = await startTestApp({ vpic: { delayMs: 5_000 } });
    const caller = new AbortController();

    const reading = Array.fromAsync(clientOf(app).batchLookup({ vins: manyVins(5_000) }, { signal: caller.signal }));
    // As many as may run at once; more wait behind them.
    await expect.poll(() => app.vpic.requests.length).toBe(8);
    caller.abort();
    await expect(reading).rejects.toThrow("[canceled]");
    app.vpic.delayMs = 0;
    await clientOf(app).lookup({ vin: "1M8GDM9AXKP042788" });
    await clientOf(app).lookup({ vin: "5GZCZ43D13S812715" });

    expect(app.vpic.vins.slice(-2)).toEqual(["1M8GDM9AXKP042788", "5GZCZ43D13S812715"]);
    expect(app.vpic.requests).toHaveLength(8 + 2);
  });

  test("of more than 5,000 VINs is refused, and so is one of more bytes than that takes", async () => {
    await using app = await startTestApp();
    const client = clientOf(app);

    const tooMany = Array.fromAsync(client.batchLookup({ vins: [...manyVins(5_000), "1XPWD40X1ED215307"] }));
    const tooLarge = Array.fromAsync(client.batchLookup({ vins: ["x".repeat(300_000)] }));

    await expect(tooMany).rejects.toThrow("[invalid_argument] vins: 5001 VINs are too many for one batch");
    await expect(tooLarge).rejects.toThrow("[resource_exhausted]");
    expect(app.vpic.requests).toHaveLength(0);
  });
});
