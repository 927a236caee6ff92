import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchEventLoopLag } from "../../src/access/event-loop-lag.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test("the lag of the event loop is told at regular times, until disposed of", () => {
  const lags: number[] = [];
  const clock = { now: 0 };
  const watch = watchEventLoopLag(
    (lagMs) => lags.push(lagMs),
    () => clock.now,
  );

  for (const passedMs of [20, 19, 20, 75, 20]) {
    clock.now += passedMs;
    vi.advanceTimersByTime(20);
  }
  watch[Symbol.dispose]();
  vi.advanceTimersByTime(1_000);

  expect(lags).toEqual([0, 0, 0, 55, 0]);
});
