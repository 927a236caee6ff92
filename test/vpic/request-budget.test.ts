import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { RequestBudget } from "../../src/vpic/request-budget.ts";
import { TokenBucket, withRequestBudget } from "../../src/vpic/request-budget.ts";
import { VpicError } from "../../src/vpic/vpic-error.ts";
import { never } from "./vins.ts";

const STOP = { signal: never(), whileWaiting: never() };

/** A budget that records how it is used. */
class RecordingBudget implements RequestBudget {
  readonly available = 1;
  readonly waiting = 0;
  readonly pauses: number[] = [];
  readonly takenWith: AbortSignal[] = [];

  async take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.takenWith.push(signal);
    await Promise.resolve();
  }

  pauseFor(durationMs: number): void {
    this.pauses.push(durationMs);
  }
}

function failWith(failure: Error): () => Promise<void> {
  return async () => await Promise.reject(failure);
}

test("every call takes from the budget, and may be ended while it waits", async () => {
  const budget = new RecordingBudget();
  const call = withRequestBudget(budget, async () => await Promise.resolve());

  await call("x", STOP);

  expect(budget.takenWith).toEqual([STOP.whileWaiting]);
});

test("a call that gets no token is not made", async () => {
  const call = withRequestBudget(new RecordingBudget(), failWith(new Error("made")));

  const made = call("x", { ...STOP, whileWaiting: AbortSignal.abort(new Error("gone")) });

  await expect(made).rejects.toThrow("gone");
});

test.each([
  [new VpicError("status", "busy", { status: 429, retryAfterMs: 2_000 }), [2_000]],
  [new VpicError("status", "busy", { status: 429 }), []],
  [new Error("gone"), []],
])("after %s the budget pauses for %j ms", async (failure, expected) => {
  const budget = new RecordingBudget();

  await expect(withRequestBudget(budget, failWith(failure))("x", STOP)).rejects.toBe(failure);

  expect(budget.pauses).toEqual(expected);
});

describe("a token bucket", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  /** Takes this many tokens, and records when each was given. */
  function takeAll(bucket: TokenBucket, count: number): number[] {
    const startedAt = performance.now();
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      void bucket.take(never()).then(() => times.push(performance.now() - startedAt));
    }
    return times;
  }

  test("a burst is sent at once, the others one by one at the rate", async () => {
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

  test("no period exceeds burst and rate", async () => {
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

  test("a rate below one per second is respected", async () => {
    const bucket = new TokenBucket({ requestsPerSecond: 0.5, burst: 1 });

    const times = takeAll(bucket, 3);
    await vi.advanceTimersByTimeAsync(4_000);

    expect(times).toEqual([0, 2_000, 4_000]);
  });

  test("a request that is aborted while waiting takes nothing and leaves no timer", async () => {
    const bucket = new TokenBucket({ requestsPerSecond: 5, burst: 1 });
    await bucket.take(never());
    const caller = new AbortController();
    const leaving = bucket.take(caller.signal);
    const timersBefore = vi.getTimerCount();

    caller.abort(new Error("gone"));

    await expect(leaving).rejects.toThrow("gone");
    expect([timersBefore, vi.getTimerCount(), bucket.waiting]).toEqual([1, 0, 0]);
  });

  test("a request behind one that is aborted moves up", async () => {
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

  test("a pause allows nothing, and no burst follows it", async () => {
    const bucket = new TokenBucket({ requestsPerSecond: 5, burst: 20 });

    bucket.pauseFor(3_000);
    const available = bucket.available;
    const times = takeAll(bucket, 3);
    await vi.advanceTimersByTimeAsync(3_400);

    expect(available).toBe(0);
    expect(times).toEqual([3_000, 3_200, 3_400]);
  });

  test("a pause also stops requests that wait already, and a shorter one does not end it", async () => {
    const bucket = new TokenBucket({ requestsPerSecond: 5, burst: 1 });
    const times = takeAll(bucket, 2);

    bucket.pauseFor(3_000);
    bucket.pauseFor(1_000);
    await vi.advanceTimersByTimeAsync(10_000);

    expect(times).toEqual([0, 3_200]);
  });

  test("a request that is aborted at the moment of its turn returns the token", async () => {
    const bucket = new TokenBucket({ requestsPerSecond: 5, burst: 1 });
    await bucket.take(never());
    const caller = new AbortController();
    const leaving = bucket.take(caller.signal);

    caller.abort(new Error("gone"));
    vi.advanceTimersByTime(200);

    await expect(leaving).rejects.toThrow("gone");
    expect(bucket.available).toBe(1);
  });
});
