import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { withRetry } from "../../src/vpic/retry.ts";
import { VpicFault } from "../../src/vpic/vpic-fault.ts";
import { never } from "./vins.ts";

const OPTIONS = { maxAttempts: 4, minDelayMs: 100, maxDelayMs: 1_500 };
const STOP = { signal: never(), whileWaiting: never() };
const FAULT = new VpicFault("network", "broken");

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A call that fails with these errors in turn, then succeeds, and when it was made. */
function failWith(...failures: readonly Error[]) {
  const times: number[] = [];
  const left = [...failures];
  const startedAt = performance.now();
  const call = async (): Promise<void> => {
    times.push(performance.now() - startedAt);
    const error = left.shift();
    if (error !== undefined) {
      throw error;
    }
  };
  return { call, times };
}

test.each([
  { random: 0, expected: [0, 100, 200, 300] },
  { random: 1, expected: [0, 375, 1_125, 2_625] },
])("pauses are random between 100 ms and an end that doubles to 1.5 s: $expected", async ({ random, expected }) => {
  const { call, times } = failWith(FAULT, FAULT, FAULT);
  const retried = withRetry({ ...OPTIONS, random: () => random }, call)("x", STOP);

  await vi.advanceTimersByTimeAsync(5_000);
  await retried;

  expect(times).toEqual(expected);
});

test("the fourth failure is the last", async () => {
  const { call, times } = failWith(FAULT, FAULT, FAULT, FAULT);
  const retried = withRetry({ ...OPTIONS, random: () => 0 }, call)("x", STOP).catch((error: unknown) => error);

  await vi.advanceTimersByTimeAsync(5_000);

  expect(await retried).toBe(FAULT);
  expect(times).toHaveLength(4);
});

test("a Retry-After that is longer than the pause is waited for", async () => {
  const { call, times } = failWith(new VpicFault("status", "busy", { status: 429, retryAfterMs: 2_500 }));
  const retried = withRetry({ ...OPTIONS, random: () => 0.5 }, call)("x", STOP);

  await vi.advanceTimersByTimeAsync(5_000);
  await retried;

  expect(times).toEqual([0, 2_500]);
});

test.each([
  new VpicFault("status", "bad request", { status: 400 }),
  new VpicFault("status", "not found", { status: 404 }),
  new Error("gone"),
])("%s is not tried again", async (error) => {
  const { call, times } = failWith(error);

  await expect(withRetry({ ...OPTIONS, random: () => 0 }, call)("x", STOP)).rejects.toBe(error);

  expect(times).toEqual([0]);
});

test("an abort ends the pause at once, and nothing sleeps on", async () => {
  const { call, times } = failWith(FAULT);
  const caller = new AbortController();
  const retried = withRetry({ ...OPTIONS, random: () => 0.5 }, call)("x", {
    signal: caller.signal,
    whileWaiting: caller.signal,
  }).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(50);
  const timersBefore = vi.getTimerCount();

  caller.abort(new Error("gone"));

  expect(await retried).toBe(caller.signal.reason);
  expect([timersBefore, vi.getTimerCount(), times.length]).toEqual([1, 0, 1]);
});
