import { describe, expect, test } from "vitest";
import type { FreshnessPolicy } from "../../src/vehicle/freshness.ts";
import { judgeFreshness, sweepCutoffs } from "../../src/vehicle/freshness.ts";
import { aVehicle } from "../support/a-vehicle.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW = Date.UTC(2026, 10, 22);
const policy: FreshnessPolicy = {
  freshForMs: 30 * DAY_MS,
  staleForMs: 365 * DAY_MS,
  negativeForMs: DAY_MS,
  snapshotForMs: HOUR_MS,
};
const nothingKnown = { make: "", model: "", modelYear: "" };

describe("an entry of vPIC", () => {
  test.each([
    ["of 29 days is fresh", 29 * DAY_MS, undefined, "fresh"],
    ["of 30 days is stale", 30 * DAY_MS, undefined, "stale"],
    ["of a year has expired", 365 * DAY_MS, undefined, "expired"],
    ["is stale when the caller asks for a younger one", 2 * HOUR_MS, HOUR_MS, "stale"],
    ["is fresh when the caller accepts a greater age", 200 * DAY_MS, 300 * DAY_MS, "fresh"],
    ["is never fresh enough for a greatest age of 0", 0, 0, "stale"],
    ["from the future is fresh, so that a clock set back starts no storm", -DAY_MS, undefined, "fresh"],
    ["from the future is not fresh enough for a greatest age of 0", -DAY_MS, 0, "stale"],
  ] as const)("%s", (_, ageMs, maxAgeMs, expected) => {
    const entry = aVehicle({ source: "vpic", decodedAt: NOW - ageMs });

    expect(judgeFreshness(entry, policy, NOW, maxAgeMs)).toBe(expected);
  });
});

describe("a negative entry of vPIC", () => {
  test.each([
    ["of 23 hours is fresh", 23 * HOUR_MS, undefined, "fresh"],
    ["of a day has expired", DAY_MS, undefined, "expired"],
    ["lives no longer because the caller accepts a greater age", DAY_MS, 30 * DAY_MS, "expired"],
    ["lives shorter when the caller asks for a younger one", HOUR_MS, HOUR_MS, "expired"],
  ] as const)("%s", (_, ageMs, maxAgeMs, expected) => {
    const entry = aVehicle({ source: "vpic", decodedAt: NOW - ageMs, ...nothingKnown });

    expect(judgeFreshness(entry, policy, NOW, maxAgeMs)).toBe(expected);
  });
});

describe("an entry of the snapshot", () => {
  test.each([
    ["of 59 minutes is fresh", HOUR_MS - 60_000, undefined, {}, "fresh"],
    ["of an hour has expired", HOUR_MS, undefined, {}, "expired"],
    ["lives no longer because the caller accepts a greater age", HOUR_MS, 30 * DAY_MS, {}, "expired"],
    ["lives shorter when the caller asks for a younger one", 60_000, 1_000, {}, "expired"],
    ["that is negative lives as short", HOUR_MS, undefined, nothingKnown, "expired"],
  ] as const)("%s", (_, ageMs, maxAgeMs, overrides, expected) => {
    const entry = aVehicle({ source: "snapshot", decodedAt: NOW - ageMs, ...overrides });

    expect(judgeFreshness(entry, policy, NOW, maxAgeMs)).toBe(expected);
  });
});

test("the sweep deletes expired entries", () => {
  const cutoffs = sweepCutoffs(policy, NOW);

  expect(cutoffs).toEqual({ vpic: NOW - 365 * DAY_MS, negative: NOW - DAY_MS, snapshot: NOW - HOUR_MS });
});
