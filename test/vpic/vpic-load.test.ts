import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { VpicPolicyOptions } from "../../src/vpic/vpic-source.ts";
import { VpicSource } from "../../src/vpic/vpic-source.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { ScriptedTransport } from "./scripted-transport.ts";
import { never, toVins } from "./vins.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function createSource(transport: ScriptedTransport, options: Partial<VpicPolicyOptions> = {}): VpicSource {
  return new VpicSource({ logger: new MemoryLogger(), random: () => 0, ...options }, transport);
}

/** The largest number of requests above the budget in any period. */
function overBudget(times: readonly number[], requestsPerSecond: number, burst: number): number {
  const excesses = times.flatMap((from, first) =>
    times
      .slice(first)
      .map((to, index) => index + 1 - Math.floor(burst + ((to - from) / 1_000) * requestsPerSecond + 1e-6)),
  );
  return Math.max(...excesses);
}

/** Lets time pass until all have ended. */
async function settle<Result>(promises: readonly Promise<Result>[]): Promise<PromiseSettledResult<Result>[]> {
  const settling = Promise.allSettled(promises);
  await vi.advanceTimersByTimeAsync(60_000);
  return settling;
}

describe("vPIC under load", () => {
  test("1,000 VINs at once at 200 ms a call take at most 25 requests, within the budget, and each is asked for once", async () => {
    const transport = Object.assign(new ScriptedTransport(), { latencyMs: 200 });
    await using source = createSource(transport);
    const vins = toVins(1_000);

    const outcomes = await settle(vins.map((vin) => source.decode({ vin }, never())));

    expect(outcomes).toMatchObject(vins.map((vin) => ({ status: "fulfilled", value: { vin } })));
    expect(transport.vins.length).toBeLessThanOrEqual(25);
    expect(overBudget(transport.sentAt, 5, 20)).toBeLessThanOrEqual(0);
    expect(transport.vins.flat().toSorted()).toEqual(vins);
    expect(Math.max(...transport.vins.map(({ length }) => length))).toBe(50);
  });

  test("a spent budget leads to fuller requests, not to more of them, and is never exceeded", async () => {
    const transport = Object.assign(new ScriptedTransport(), { latencyMs: 0 });
    await using source = createSource(transport, { requestsPerSecond: 10, burst: 2 });
    const vins = toVins(300);
    const decodes: Promise<unknown>[] = [];

    // Arrivals spread over a second and a half: thirty gatherings, many more than the budget has requests.
    for (const vin of vins) {
      decodes.push(source.decode({ vin }, never()));
      await vi.advanceTimersByTimeAsync(5);
    }
    const outcomes = await settle(decodes);

    expect(outcomes).toMatchObject(vins.map((vin) => ({ status: "fulfilled", value: { vin } })));
    expect(overBudget(transport.sentAt, 10, 2)).toBeLessThanOrEqual(0);
    expect(transport.sentAt.length).toBeLessThanOrEqual(22);
  });

  test("with 30 % evenly spread failures, nearly all are answered, with at most 1.5 requests per needed one", async () => {
    const transport = Object.assign(new ScriptedTransport(), { mode: "flaky" });
    await using source = createSource(transport, { requestsPerSecond: 500 });
    const vins = toVins(40);

    const outcomes: PromiseSettledResult<unknown>[] = [];
    for (const vin of vins) {
      outcomes.push(...(await settle([source.decode({ vin }, never())])));
    }

    expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBeGreaterThanOrEqual(0.97 * vins.length);
    expect(transport.vins.length / vins.length).toBeLessThanOrEqual(1.5);
    expect(source.state().breaker).toBe("closed");
  });

  test("when half of the callers leave, the rest are answered and the others end at once", async () => {
    const transport = Object.assign(new ScriptedTransport(), { latencyMs: 200 });
    await using source = createSource(transport);
    const vins = toVins(100);
    const leaving = new AbortController();

    const decodes = vins.map((vin, index) => source.decode({ vin }, index % 2 === 0 ? leaving.signal : never()));
    leaving.abort(new Error("gone"));
    const left = await Promise.allSettled(decodes.filter((_, index) => index % 2 === 0));
    const stayed = await settle(decodes.filter((_, index) => index % 2 === 1));

    expect(new Set(left.map(({ status }) => status))).toEqual(new Set(["rejected"]));
    expect(new Set(stayed.map(({ status }) => status))).toEqual(new Set(["fulfilled"]));
    expect(transport.vins.flat().length).toBeLessThanOrEqual(51);
    expect(source.state()).toMatchObject({ breaker: "closed", runningRequests: 0, waitingRequests: 0 });
  });
});
