import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Vin } from "../../src/vehicle/vin.ts";
import { SourceUnavailableError } from "../../src/vehicle/errors.ts";
import { Batch, Question } from "../../src/vpic/gatherer.ts";
import { withRetry } from "../../src/vpic/retry.ts";
import { VpicError } from "../../src/vpic/vpic-error.ts";
import { never, toVins } from "./vins.ts";

const OPTIONS = { maxAttempts: 4, minDelayMs: 100, maxDelayMs: 1_500, onExhausted: () => undefined };
const STOP = { signal: never(), whileWaiting: never() };
const FAULT = new VpicError("network", "broken");

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function batchOf(vins: readonly Vin[]): Batch {
  const batch = new Batch();
  for (const vin of vins) {
    batch.offer(new Question({ vin }, never()));
  }
  return batch;
}

const SINGLE = batchOf(toVins(1));

/** A call that fails with these errors in turn and then succeeds, and the times of its attempts. */
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
])(
  "pauses are random between 100 ms and an upper bound that doubles to 1.5 s: $expected",
  async ({ random, expected }) => {
    const { call, times } = failWith(FAULT, FAULT, FAULT);
    const retried = withRetry({ ...OPTIONS, random: () => random }, call)(SINGLE, STOP);

    await vi.advanceTimersByTimeAsync(5_000);
    await retried;

    expect(times).toEqual(expected);
  },
);

test("the fourth failure is the last", async () => {
  const { call, times } = failWith(FAULT, FAULT, FAULT, FAULT);
  const retried = withRetry({ ...OPTIONS, random: () => 0 }, call)(SINGLE, STOP).catch((error: unknown) => error);

  await vi.advanceTimersByTimeAsync(5_000);

  expect(await retried).toBe(FAULT);
  expect(times).toHaveLength(4);
});

test("a Retry-After longer than the pause is respected", async () => {
  const { call, times } = failWith(new VpicError("status", "busy", { status: 429, retryAfterMs: 2_500 }));
  const retried = withRetry({ ...OPTIONS, random: () => 0.5 }, call)(SINGLE, STOP);

  await vi.advanceTimersByTimeAsync(5_000);
  await retried;

  expect(times).toEqual([0, 2_500]);
});

test.each([
  new VpicError("status", "bad request", { status: 400 }),
  new VpicError("status", "not found", { status: 404 }),
  new Error("gone"),
])("%s is not retried", async (error) => {
  const { call, times } = failWith(error);

  await expect(withRetry({ ...OPTIONS, random: () => 0 }, call)(SINGLE, STOP)).rejects.toBe(error);

  expect(times).toEqual([0]);
});

test("an abort ends the pause at once and leaves no timer", async () => {
  const { call, times } = failWith(FAULT);
  const caller = new AbortController();
  const retried = withRetry({ ...OPTIONS, random: () => 0.5 }, call)(SINGLE, {
    signal: caller.signal,
    whileWaiting: caller.signal,
  }).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(50);
  const timersBefore = vi.getTimerCount();

  caller.abort(new Error("gone"));

  expect(await retried).toBe(caller.signal.reason);
  expect([timersBefore, vi.getTimerCount(), times.length]).toEqual([1, 0, 1]);
});

/** A call that fails for every batch with one of these VINs, and the batches that it received. */
function failFor(bad: readonly Vin[], failure: Error) {
  const batches: (readonly Vin[])[] = [];
  const call = async (batch: Batch): Promise<void> => {
    batches.push(batch.openVins);
    if (batch.openVins.some((vin) => bad.includes(vin))) {
      throw failure;
    }
    batch.reject(new Error("answered"));
  };
  return { call, batches };
}

test.each([
  { failure: FAULT, expected: [8, 8, 4, 4, 2, 2, 1, 1, 1, 1] },
  // Asking again would not help.
  { failure: new VpicError("status", "bad request", { status: 400 }), expected: [8, 4, 4, 2, 2, 1, 1] },
])("a batch that fails because of one VIN ($failure.kind) is split until the others are answered", async (row) => {
  const vins = toVins(8);
  const [bad = expect.fail()] = vins;
  const { call, batches } = failFor([bad], row.failure);
  const exhausted: (readonly Vin[])[] = [];
  const onExhausted = ({ openVins }: Batch): unknown => exhausted.push(openVins);
  const batch = batchOf(vins);

  const retried = withRetry({ ...OPTIONS, random: () => 0, onExhausted }, call)(batch, STOP);
  const outcome = retried.catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(60_000);

  expect(await outcome).toBe(row.failure);
  expect(batch.openVins).toEqual([bad]);
  expect(exhausted).toEqual([[bad]]);
  expect(batches.map(({ length }) => length)).toEqual(row.expected);
});

test.each([
  new VpicError("status", "throttled", { status: 429 }),
  new VpicError("missing-row", "no row", { partlyAnswered: true }),
])("a batch is repeated as a whole after $kind $status, which no single VIN causes", async (failure) => {
  const vins = toVins(8);
  const { call, batches } = failFor(vins, failure);

  const retried = withRetry({ ...OPTIONS, random: () => 0 }, call)(batchOf(vins), STOP);
  const outcome = retried.catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(60_000);

  expect(await outcome).toBe(failure);
  expect(batches.map(({ length }) => length)).toEqual([8, 8, 8, 8]);
});

test("a probe that fails has exhausted its VINs, because the circuit breaker allows no other attempt", async () => {
  const vins = toVins(1);
  const refusal = new SourceUnavailableError("open", { cause: FAULT });
  const exhausted: (readonly Vin[])[] = [];
  const onExhausted = ({ openVins }: Batch): unknown => exhausted.push(openVins);
  const { call } = failFor(vins, refusal);

  const retried = withRetry({ ...OPTIONS, random: () => 0, onExhausted }, call)(batchOf(vins), STOP);

  await expect(retried).rejects.toBe(refusal);
  expect(exhausted).toEqual([vins]);
});
