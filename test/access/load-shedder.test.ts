import { describe, expect, test } from "vitest";
import { LoadShedder } from "../../src/access/load-shedder.ts";

const LATE_MS = 25;
const IN_TIME_MS = 5;

/** Sends so many calls that end at once, then looks at the event loop; tells how many were refused. */
function tick(shedder: LoadShedder, calls: number, lagMs: number): number {
  let refused = 0;
  for (let i = 0; i < calls; i++) {
    refused += shedder.refuses() ? 1 : 0;
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

  test("refuses nobody for a single pause, nor for a burst that is soon answered", () => {
    const shedder = new LoadShedder({ random: () => 0 });

    const refused = [300, 0, 100, 100, 0, 300, 0].map((lagMs) => tick(shedder, 1_000, lagMs));

    expect(Math.max(...refused)).toBe(0);
  });

  test("refuses nobody when few come, however late the event loop is", () => {
    const shedder = new LoadShedder({ random: () => 0, alwaysAdmitted: 8 });

    const refused = Array.from({ length: 100 }, () => tick(shedder, 8, 1_000));

    expect(Math.max(...refused)).toBe(0);
    expect(shedder.refusedShare).toBe(0);
  });

  test("refuses a growing share once the event loop was late for a quarter of a second, but never all", () => {
    const shedder = new LoadShedder({ random: evenly() });

    const shares = Array.from({ length: 100 }, () => {
      tick(shedder, 100, LATE_MS);
      return shedder.refusedShare;
    });

    expect(shares.findIndex((share) => share > 0)).toBe(250 / LATE_MS);
    expect(shares[12]).toBeCloseTo(0.15);
    expect(shares.at(-1)).toBe(0.75);
  });

  test("always lets the first few in", () => {
    const shedder = new LoadShedder({ random: () => 0, alwaysAdmitted: 8 });
    tick(shedder, 100, 200);
    tick(shedder, 100, 200);

    expect(tick(shedder, 1_000, LATE_MS)).toBe(992);
  });

  test("settles where a modelled loop is just in time, and ends with the load", () => {
    const shedder = new LoadShedder({ random: evenly() });
    // An answer takes 67 us and a refusal a tenth of it; twice as many calls come as can be answered.
    const arrivals = 600;
    const lags: number[] = [];
    const shares: number[] = [];
    let refused = 0;
    for (let i = 0; i < 500; i++) {
      const lagMs = Math.max(0, (arrivals - refused + refused / 10) / 15 - 20);
      refused = tick(shedder, arrivals, lagMs);
      lags.push(lagMs);
      shares.push(shedder.refusedShare);
    }
    const settled = shares.slice(100);
    const afterwards = Array.from({ length: 40 }, () => tick(shedder, 100, 0));

    expect(Math.max(...lags.slice(100))).toBeLessThan(15);
    expect(Math.max(...settled) - Math.min(...settled)).toBeLessThan(0.1);
    expect(Math.min(...settled)).toBeGreaterThan(0.3);
    expect(afterwards.at(-1)).toBe(0);
  });
});
