import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SourceUnavailableError } from "../../src/vehicle/errors.ts";
import type { Stop } from "../../src/vpic/call.ts";
import { withAttemptTimeout, withWaitingLimit } from "../../src/vpic/time-limits.ts";
import { never, sleep } from "./vins.ts";

const STOP = { signal: never(), whileWaiting: never() };

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const send = async (durationMs: number, { signal }: Stop): Promise<void> => await sleep(durationMs, signal);
const wait = async (durationMs: number, { whileWaiting }: Stop): Promise<void> => await sleep(durationMs, whileWaiting);

test("an attempt within its time leaves no timer", async () => {
  const attempt = withAttemptTimeout(8_000, send)(7_999, STOP);

  await vi.advanceTimersByTimeAsync(7_999);
  await attempt;

  expect(vi.getTimerCount()).toBe(0);
});

test("an attempt beyond its time is a failure of vPIC", async () => {
  const attempt = withAttemptTimeout(8_000, send)(60_000, STOP).catch((error: unknown) => error);

  await vi.advanceTimersByTimeAsync(8_000);

  expect(await attempt).toMatchObject({ name: "VpicError", kind: "timeout" });
  expect(vi.getTimerCount()).toBe(0);
});

test("an attempt whose caller leaves ends with the caller's reason, and leaves no timer", async () => {
  const caller = new AbortController();
  const attempt = withAttemptTimeout(8_000, send)(60_000, { signal: caller.signal, whileWaiting: caller.signal });

  caller.abort(new Error("gone"));

  await expect(attempt).rejects.toThrow("gone");
  expect(vi.getTimerCount()).toBe(0);
});

test("waiting beyond the limit ends with an error that says when to retry", async () => {
  const call = withWaitingLimit(30_000, wait)(60_000, STOP).catch((error: unknown) => error);

  await vi.advanceTimersByTimeAsync(30_000);

  expect(await call).toBeInstanceOf(SourceUnavailableError);
  expect(await call).toHaveProperty("retryAfterMs", 30_000);
  expect(vi.getTimerCount()).toBe(0);
});

test("a request that was sent may last longer than the waiting limit", async () => {
  const call = withWaitingLimit(30_000, send)(35_000, STOP);

  await vi.advanceTimersByTimeAsync(35_000);

  await expect(call).resolves.toBeUndefined();
});
