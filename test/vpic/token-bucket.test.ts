import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { TokenBucket } from "../../src/vpic/token-bucket.ts";
import { never } from "./vins.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Takes so many times, and notes when each was served. */
function takeAll(bucket: TokenBucket, count: number): number[] {
  const startedAt = performance.now();
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    void bucket.take(never()).then(() => times.push(performance.now() - startedAt));
  }
  return times;
}

test("a burst goes at once, the others one by one at the rate", async () => {
  const bucket = new TokenBucket({ requestsPerSecond: 5, burst: 20 });

  const times = takeAll(bucket, 30);
  await vi.advanceTimersByTimeAsync(2_000);

  expect(times).toEqual([
    ...Array.from({ length: 20 }, () => 0),
    200,
    400,
    600,
    800,
    1_000,
    1_200,
    1_400,
    1_600,
    1_800,
    2_000,
  ]);
  expect(bucket.waiting).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

test("in no stretch of time more is given out than burst and rate allow, whenever it is asked for", async () => {
  const bucket = new TokenBucket({ requestsPerSecond: 5, burst: 4 });
  const times: number[] = [];

  for (const pauseMs of [0, 130, 700, 3_000, 50, 20, 333, 2_500, 1, 1_111]) {
    await vi.advanceTimersByTimeAsync(pauseMs);
    for (let i = 0; i < 5; i++) {
      void bucket.take(never()).then(() => times.push(performance.now()));
    }
  }
  await vi.advanceTimersByTimeAsync(10_000);

  expect(times).toHaveLength(50);
  for (const [first, from] of times.entries()) {
    for (const [index, to] of times.slice(first).entries()) {
      expect(index + 1).toBeLessThanOrEqual(4 + ((to - from) / 1_000) * 5 + 1e-6);
    }
  }
});

test("a rate below one a second is kept", async () => {
  const bucket = new TokenBucket({ requestsPerSecond: 0.5, burst: 1 });

  const times = takeAll(bucket, 3);
  await vi.advanceTimersByTimeAsync(4_000);

  expect(times).toEqual([0, 2_000, 4_000]);
});

test("who is aborted while waiting takes nothing, and leaves no timer behind", async () => {
  const bucket = new TokenBucket({ requestsPerSecond: 5, burst: 1 });
  await bucket.take(never());
  const caller = new AbortController();
  const leaving = bucket.take(caller.signal);
  const timersBefore = vi.getTimerCount();

  caller.abort(new Error("gone"));

  await expect(leaving).rejects.toThrow("gone");
  expect([timersBefore, vi.getTimerCount(), bucket.waiting]).toEqual([1, 0, 0]);
});

test("who waits behind one who is aborted moves up", async () => {
  const bucket = new TokenBucket({ requestsPerSecond: 5, burst: 1 });
  await bucket.take(never());
  const caller = new AbortController();
  const leaving = bucket.take(caller.signal).catch((error: unknown) => error);
  const times = takeAll(bucket, 1);

  caller.abort(new Error("gone"));
  await leaving;
  await vi.advanceTimersByTimeAsync(200);

  expect(times).toEqual([200]);
});

test("during a pause nothing is given out, and after it no burst", async () => {
  const bucket = new TokenBucket({ requestsPerSecond: 5, burst: 20 });

  bucket.pauseFor(3_000);
  const available = bucket.available;
  const times = takeAll(bucket, 3);
  await vi.advanceTimersByTimeAsync(3_400);

  expect(available).toBe(0);
  expect(times).toEqual([3_000, 3_200, 3_400]);
});

test("a pause holds those who wait already, and a shorter one does not cut it", async () => {
  const bucket = new TokenBucket({ requestsPerSecond: 5, burst: 1 });
  const times = takeAll(bucket, 2);

  bucket.pauseFor(3_000);
  bucket.pauseFor(1_000);
  await vi.advanceTimersByTimeAsync(10_000);

  expect(times).toEqual([0, 3_200]);
});
