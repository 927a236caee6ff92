import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { SourceUnavailableError } from "../../src/vehicle/errors.ts";
import { withAttemptTimeout } from "../../src/vpic/attempt-timeout.ts";
import { sleep } from "../../src/vpic/sleep.ts";
import type { Stop } from "../../src/vpic/stop.ts";
import { withWaitingLimit } from "../../src/vpic/waiting-limit.ts";
import { never } from "./vins.ts";

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

test("an attempt beyond its time is a fault of vPIC", async () => {
  const attempt = withAttemptTimeout(8_000, send)(60_000, STOP).catch((error: unknown) => error);

  await vi.advanceTimersByTimeAsync(8_000);

  expect(await attempt).toMatchObject({ name: "VpicFault", kind: "timeout" });
  expect(vi.getTimerCount()).toBe(0);
});

test("an attempt whose caller goes ends with the caller's reason, and leaves no timer", async () => {
  const caller = new AbortController();
  const attempt = withAttemptTimeout(8_000, send)(60_000, { signal: caller.signal, whileWaiting: caller.signal });

  caller.abort(new Error("gone"));

  await expect(attempt).rejects.toThrow("gone");
  expect(vi.getTimerCount()).toBe(0);
});

test("waiting beyond the limit ends with an error that says when to come back", async () => {
  const call = withWaitingLimit(30_000, wait)(60_000, STOP).catch((error: unknown) => error);

  await vi.advanceTimersByTimeAsync(30_000);

  expect(await call).toBeInstanceOf(SourceUnavailableError);
  expect(await call).toHaveProperty("retryAfterMs", 30_000);
  expect(vi.getTimerCount()).toBe(0);
});

test("a request that was sent may go on beyond the limit for waiting", async () => {
  const call = withWaitingLimit(30_000, send)(35_000, STOP);

  await vi.advanceTimersByTimeAsync(35_000);

  await expect(call).resolves.toBeUndefined();
});
