import { describe, expect, test } from "vitest";
import type { RateLimiterOptions } from "../../src/access/rate-limiter.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";

interface Harness {
  readonly limiter: RateLimiter;
  readonly clock: { now: number };
}

function setUp(options: Partial<RateLimiterOptions> = {}): Harness {
  const clock = { now: 1_000_000 };
  return { limiter: new RateLimiter({ perSecond: 10, burst: 5, now: () => clock.now, ...options }), clock };
}

/** How many calls are admitted one after the other, at most this many. */
function admitted(limiter: RateLimiter, caller: string, most: number): number {
  for (let count = 0; count < most; count++) {
    if (retryAfterOf(limiter, caller) !== undefined) {
      return count;
    }
  }
  return most;
}

function retryAfterOf(limiter: RateLimiter, caller: string): number | undefined {
  return limiter.take(caller) || undefined;
}

describe("the rate of a caller", () => {
  test.each([
    [10, 5],
    [1_000, 10_000],
    [3, 7],
    [7_777.7, 333],
  ])("of %d a second with a burst of %d allows just the burst at once", (perSecond, burst) => {
    const { limiter } = setUp({ perSecond, burst });

    expect(admitted(limiter, "a", 20_000)).toBe(burst);
  });

  test("allows its rate per second afterwards, and no more than the burst after a rest", () => {
    const { limiter, clock } = setUp();
    admitted(limiter, "a", 5);

    clock.now += 300;
    const soon = admitted(limiter, "a", 100);
    clock.now += 3_600_000;
    const late = admitted(limiter, "a", 100);

    expect([soon, late]).toEqual([3, 5]);
  });

  test("is refused until exactly the time that the refusal names", () => {
    const { limiter, clock } = setUp();
    admitted(limiter, "a", 5);
    clock.now += 40;

    const retryAfterMs = retryAfterOf(limiter, "a");

    expect(retryAfterMs).toBe(60);
    clock.now += 59;
    expect(retryAfterOf(limiter, "a")).toBe(1);
    clock.now += 1;
    expect(retryAfterOf(limiter, "a")).toBeUndefined();
  });

  test("does not affect other callers", () => {
    const { limiter } = setUp();
    admitted(limiter, "a", 5);

    expect(admitted(limiter, "b", 100)).toBe(5);
  });

  test("admits a batch while anything is left, and charges it in full, as debt", () => {
    const { limiter, clock } = setUp();
    admitted(limiter, "a", 4);

    limiter.take("a");
    limiter.charge("a", 99);

    expect(retryAfterOf(limiter, "a")).toBe(10_000);
    clock.now += 9_999;
    expect(admitted(limiter, "a", 1)).toBe(0);
    clock.now += 1;
    expect(admitted(limiter, "a", 100)).toBe(1);
  });
});

describe("the memory of rates", () => {
  test("is bounded under a flood of addresses, and full buckets make room", () => {
    const { limiter, clock } = setUp({ maxCallers: 100 });

    for (let i = 0; i < 1_000; i++) {
      admitted(limiter, `flood ${i}`, 1);
    }
    const flooded = limiter.size;
    clock.now += 60_000;
    admitted(limiter, "newcomer", 1);

    expect(flooded).toBe(100);
    expect(limiter.size).toBe(1);
  });

  test("never forgets a debt because of a flood of new callers", () => {
    const { limiter } = setUp({ maxCallers: 100 });
    limiter.take("debtor");
    limiter.charge("debtor", 1_000);

    for (let i = 0; i < 1_000; i++) {
      admitted(limiter, `flood ${i}`, 10);
    }

    expect(admitted(limiter, "debtor", 1)).toBe(0);
  });

  test("gives all new callers one shared bucket while it is full", () => {
    const { limiter } = setUp({ maxCallers: 10 });
    for (let i = 0; i < 10; i++) {
      limiter.take(`old ${i}`);
    }

    const perNewcomer = Array.from({ length: 50 }, (_, i) => admitted(limiter, `new ${i}`, 10));

    expect(perNewcomer.reduce((sum, count) => sum + count)).toBe(5);
    expect(admitted(limiter, "old 3", 10)).toBe(4);
  });
});
