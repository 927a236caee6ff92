import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { timedOut, withinPatience } from "../../src/vehicle/patience.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test("what comes in time is given, and no timer is left", async () => {
  const result = await withinPatience(Promise.resolve("answer"), 2_000);

  expect(result).toBe("answer");
  expect(vi.getTimerCount()).toBe(0);
});

test("a rejection in time is passed on, and no timer is left", async () => {
  await expect(withinPatience(Promise.reject(new Error("refused")), 2_000)).rejects.toThrow("refused");

  expect(vi.getTimerCount()).toBe(0);
});

test("the wait ends with the patience, not before, and leaves a later failure handled", async () => {
  const late = Promise.withResolvers<string>();
  let result: unknown;
  const waiting = withinPatience(late.promise, 2_000).then((value) => (result = value));

  await vi.advanceTimersByTimeAsync(1_999);
  const before = result;
  await vi.advanceTimersByTimeAsync(1);
  await waiting;
  late.reject(new Error("too late"));

  expect(before).toBeUndefined();
  expect(result).toBe(timedOut);
});
