import { describe, expect, test } from "vitest";
import { OverloadedError } from "../../src/access/errors.ts";
import { LoadShedder } from "../../src/access/load-shedder.ts";

const LATE_MS = 11;
const IN_TIME_MS = 10;

/** Sends so many calls that end at once, then looks at the event loop; tells how many were refused. */
function tick(shedder: LoadShedder, calls: number, lagMs: number): number {
  let refused = 0;
  for (let i = 0; i < calls; i++) {
    try {
      shedder.enter();
      shedder.leave();
    } catch (error) {
      if (!(error instanceof OverloadedError)) {
        throw error;
      }
      refused++;
    }
  }
  shedder.observe(lagMs);
  return refused;
}

/** Random numbers that are spread evenly, so that shares come out exactly. */
function evenly(): () => number {
  let count = 0;
  return () => (count++ % 100) / 100;
}

describe("load shedding", () => {
  test("refuses nobody while the event loop is in time, however many come", () => {
    const shedder = new LoadShedder({ random: () => 0 });

    const refused = Array.from({ length: 10 }, () => tick(shedder, 5_000, IN_TIME_MS));

    expect(Math.max(...refused)).toBe(0);
  });

  test("refuses nobody for a single pause", () => {
    const shedder = new LoadShedder({ random: () => 0 });

    tick(shedder, 1_000, 300);
    tick(shedder, 1_000, 0);
    tick(shedder, 1_000, 300);

    expect(tick(shedder, 1_000, 0)).toBe(0);
  });

  test("refuses nobody when few come, however late the event loop is", () => {
    const shedder = new LoadShedder({ random: () => 0 });

    const refused = Array.from({ length: 100 }, () => tick(shedder, 50, 1_000));

    expect(Math.max(...refused)).toBe(0);
    expect(shedder.refusedShare).toBe(0);
  });

  test("refuses a growing share while the event loop stays late, but never all", () => {
    const shedder = new LoadShedder({ random: evenly() });

    for (let i = 0; i < 6; i++) {
      tick(shedder, 100, LATE_MS);
    }
    const half = shedder.refusedShare;
    for (let i = 0; i < 100; i++) {
      tick(shedder, 100, LATE_MS);
    }

    expect(half).toBeCloseTo(0.5);
    expect(shedder.refusedShare).toBe(0.95);
  });

  test("always lets the first few in", () => {
    const shedder = new LoadShedder({ random: () => 0 });
    tick(shedder, 100, LATE_MS);
    tick(shedder, 100, LATE_MS);

    expect(tick(shedder, 1_000, LATE_MS)).toBe(950);
  });

  test("settles where a modelled loop is just in time, and ends with the load", () => {
    const shedder = new LoadShedder({ random: evenly() });
    // 20 ms hold 300 answers; refusals cost a tenth. Three times as many come.
    const lags: number[] = [];
    const shares: number[] = [];
    let refused = 0;
    for (let i = 0; i < 500; i++) {
      const lagMs = Math.max(0, (900 - refused + refused / 10) / 15 - 20);
      refused = tick(shedder, 900, lagMs);
      lags.push(lagMs);
      shares.push(shedder.refusedShare);
    }

    const settled = shares.slice(100);
    expect(Math.max(...lags.slice(100))).toBeLessThan(20);
    expect(Math.max(...settled) - Math.min(...settled)).toBeLessThan(0.3);
    for (let i = 0; i < 50; i++) {
      tick(shedder, 100, 0);
    }
    expect(shedder.refusedShare).toBe(0);
  });

  test("tells callers to come back at different times", () => {
    const shedder = new LoadShedder({ maxCalls: 0, random: evenly() });
    const waits = Array.from({ length: 20 }, () => {
      try {
        shedder.enter();
      } catch (error) {
        return error instanceof OverloadedError ? error.retryAfterMs : 0;
      }
      return 0;
    });

    expect(new Set(waits).size).toBe(20);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(500);
  });

  test("bounds the calls that are under way, and lets others in as they end", () => {
    const shedder = new LoadShedder({ maxCalls: 2 });
    shedder.enter();
    shedder.enter();

    expect(() => shedder.enter()).toThrow(OverloadedError);
    shedder.leave();
    expect(() => shedder.enter()).not.toThrow();
    expect(shedder.calls).toBe(2);
  });
});
