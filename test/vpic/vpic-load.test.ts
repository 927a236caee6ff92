import { describe, expect, test } from "vitest";

import { parseVin } from "../../src/vehicle/vin.ts";
import type { ReceivedRequest } from "../support/fake-vpic.ts";
import { startVpic } from "./start-vpic.ts";
import { never, toVins } from "./vins.ts";

/** What loopback and the fake may shift the arrival of a request by. */
const JITTER_MS = 60;

/** The most requests beyond the budget in any stretch of time. */
function overBudget(requests: readonly ReceivedRequest[], requestsPerSecond: number, burst: number): number {
  const times = requests.map(({ receivedAt }) => receivedAt);
  const excesses = times.flatMap((from, first) =>
    times.slice(first).map((to, index) => {
      const allowed = Math.floor(burst + ((to - from + JITTER_MS) / 1_000) * requestsPerSecond);
      return index + 1 - allowed;
    }),
  );
  return Math.max(...excesses);
}

describe("vPIC under load", () => {
  test("1,000 callers of one VIN cost one request", async () => {
    await using started = await startVpic({ delayMs: 50 });
    const { vpic, source } = started;
    const vin = parseVin("1XPWD40X1ED215307");
    const callers = Array.from({ length: 1_000 }, () => source.decode({ vin }, never()));

    const decodes = await Promise.all(callers);

    expect(new Set(decodes.map(({ vin }) => vin))).toEqual(new Set([vin]));
    expect(vpic.vins).toEqual([vin]);
  });

  test("1,000 VINs at once at 200 ms a call cost at most 25 requests, within the budget, each asked once", async () => {
    await using started = await startVpic({ delayMs: 200 });
    const { vpic, source } = started;
    const vins = toVins(1_000);

    const decodes = await Promise.all(vins.map((vin) => source.decode({ vin }, never())));

    expect(decodes.map(({ vin }) => vin)).toEqual(vins);
    expect(vpic.requests.length).toBeLessThanOrEqual(25);
    expect(overBudget(vpic.requests, 5, 20)).toBeLessThanOrEqual(0);
    expect(vpic.vins.toSorted()).toEqual(vins);
    expect(Math.max(...vpic.requests.map((request) => request.vins.length))).toBe(50);
  });

  test("a spent budget makes requests fuller, not more, and is never exceeded", async () => {
    await using started = await startVpic({}, { requestsPerSecond: 10, burst: 2 });
    const { vpic, source } = started;
    const vins = toVins(300);

    const decodes = await Promise.all(
      vins.map(async (vin, index) => {
        // Arrivals spread over a second and a half: thirty gatherings, many more than the budget has requests.
        await new Promise((resolve) => setTimeout(resolve, index * 5));
        return await source.decode({ vin }, never());
      }),
    );

    expect(decodes.map(({ vin }) => vin)).toEqual(vins);
    expect(overBudget(vpic.requests, 10, 2)).toBeLessThanOrEqual(0);
    expect(vpic.requests.length).toBeLessThanOrEqual(22);
  });

  test("of 30 % failures, evenly spread, nearly all are answered, with at most 1.5 requests per needed one", async () => {
    await using started = await startVpic(
      {
        delayMs: 20,
        respondWith: ({ number }) => (isThirdOfTen(number) ? { kind: "status", status: 500 } : undefined),
      },
      { requestsPerSecond: 500 },
    );
    const { vpic, source } = started;
    const vins = toVins(40);

    const outcomes: PromiseSettledResult<unknown>[] = [];
    for (const vin of vins) {
      outcomes.push(...(await Promise.allSettled([source.decode({ vin }, never())])));
    }

    expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBeGreaterThanOrEqual(0.97 * vins.length);
    expect(vpic.requests.length / vins.length).toBeLessThanOrEqual(1.5);
    expect(source.state().breaker).toBe("closed");
  });

  test("when half of the waiters go, the rest are answered and the others know at once", async () => {
    await using started = await startVpic({ delayMs: 200 });
    const { vpic, source } = started;
    const vins = toVins(100);
    const leaving = new AbortController();

    const decodes = vins.map((vin, index) => source.decode({ vin }, index % 2 === 0 ? leaving.signal : never()));
    leaving.abort(new Error("gone"));
    const outcomes = await Promise.allSettled(decodes);

    const fulfilled = outcomes.map(({ status }) => status === "fulfilled");
    expect(fulfilled).toEqual(vins.map((_, index) => index % 2 === 1));
    expect(vpic.vins.length).toBeLessThanOrEqual(51);
    expect(source.state()).toMatchObject({ breaker: "closed", runningRequests: 0, waitingRequests: 0 });
  });
});

/** Whether the fake fails the request of this number: 3 of every 10, as evenly as can be. */
function isThirdOfTen(number: number): boolean {
  return Math.floor(number * 0.3) > Math.floor((number - 1) * 0.3);
}
