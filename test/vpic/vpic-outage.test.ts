import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Decode } from "../../src/vehicle/vehicle.ts";
import type { Vin } from "../../src/vehicle/vin.ts";
import { VpicSource } from "../../src/vpic/vpic-source.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { ScriptedTransport } from "./scripted-transport.ts";
import { never, toVins } from "./vins.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function createSource(transport: ScriptedTransport, requestsPerSecond = 5): VpicSource {
  return new VpicSource({ logger: new MemoryLogger(), random: () => 0.5, requestsPerSecond }, transport);
}

/** Decodes a new VIN at this interval, and records for each whether it was answered and how long it took. */
async function decodeSteadily(source: VpicSource, options: { everyMs: number; forMs: number }) {
  const outcomes: { readonly startedAt: number; readonly isAnswered: boolean; readonly tookMs: number }[] = [];
  const decodes: Promise<unknown>[] = [];
  for (const vin of toVins(options.forMs / options.everyMs)) {
    const startedAt = performance.now();
    const note = (isAnswered: boolean) => (): unknown =>
      outcomes.push({ startedAt, isAnswered, tookMs: performance.now() - startedAt });
    decodes.push(source.decode({ vin }, never()).then(note(true), note(false)));
    await vi.advanceTimersByTimeAsync(options.everyMs);
  }
  await vi.advanceTimersByTimeAsync(60_000);
  await Promise.all(decodes);
  return outcomes;
}

test.each(["failing", "silent"] as const)(
  "while vPIC is %s for minutes it gets at most one probe every 5 s, and no other caller waits",
  async (mode) => {
    const transport = new ScriptedTransport();
    transport.mode = mode;
    await using source = createSource(transport);
    const startedAt = performance.now();

    const outcomes = await decodeSteadily(source, { everyMs: 500, forMs: 180_000 });

    // Three attempts of 8 s each, begun in turn, open it when vPIC is silent.
    const late = transport.sentAt.filter((at) => at > startedAt + 30_000);
    const gaps = late.slice(1).map((at, index) => at - (late[index] ?? 0));
    expect(late.length).toBeGreaterThan(3);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(5_000);
    const slow = outcomes.filter(({ startedAt: at, tookMs }) => at > startedAt + 30_000 && tookMs > 50);
    // Only the callers of a probe wait for it.
    expect(slow.length).toBeLessThanOrEqual(late.length);
    expect(source.state().breaker).toBe("open");
  },
);

test.each([7_000, 60_000, 300_000])("after an outage of %s ms vPIC is in use again within 60 s", async (outageMs) => {
  const transport = new ScriptedTransport();
  transport.mode = "failing";
  await using source = createSource(transport);
  await decodeSteadily(source, { everyMs: 500, forMs: outageMs });
  const backAt = performance.now();
  transport.mode = "answering";

  const outcomes = await decodeSteadily(source, { everyMs: 500, forMs: 60_000 });

  const first = outcomes.find(({ isAnswered }) => isAnswered);
  expect((first?.startedAt ?? Infinity) - backAt).toBeLessThan(60_000);
  const after = outcomes.filter(({ startedAt }) => startedAt > (first?.startedAt ?? Infinity) + 1_000);
  expect(after.every(({ isAnswered }) => isAnswered)).toBe(true);
  expect(source.state().breaker).toBe("closed");
});

test("VINs that failed in an outage are sent again as soon as vPIC is back", async () => {
  const transport = new ScriptedTransport();
  transport.mode = "failing";
  await using source = createSource(transport);
  const [probe = expect.fail(), ...failed] = toVins(5);
  const failures = Promise.allSettled(failed.map((vin) => source.decode({ vin }, never())));
  await vi.advanceTimersByTimeAsync(10_000);
  await failures;
  transport.mode = "answering";
  const probing = source.decode({ vin: probe }, never());
  await vi.advanceTimersByTimeAsync(1_000);
  await probing;

  const decodes = Promise.all(failed.map((vin) => source.decode({ vin }, never())));
  await vi.advanceTimersByTimeAsync(1_000);

  expect((await decodes).map(({ vin }) => vin)).toEqual(failed);
});

test.each([
  { latencyMs: 200, failureLatencyMs: 0, spreadMs: 40, requestsPerSecond: 500 },
  { latencyMs: 200, failureLatencyMs: 0, spreadMs: 40, requestsPerSecond: 5 },
  { latencyMs: 3_000, failureLatencyMs: 1, spreadMs: 40, requestsPerSecond: 5 },
  { latencyMs: 50, failureLatencyMs: 50, spreadMs: 40, requestsPerSecond: 5 },
  { latencyMs: 50, failureLatencyMs: 2_000, spreadMs: 40, requestsPerSecond: 5 },
])(
  "30 % of failures, evenly spread, do not open the breaker: $latencyMs ms good, $failureLatencyMs ms bad, $requestsPerSecond a second",
  async ({ requestsPerSecond, ...latencies }) => {
    const transport = Object.assign(new ScriptedTransport(), latencies);
    transport.mode = "flaky";
    await using source = createSource(transport, requestsPerSecond);

    const [crowd, trickle] = [toVins(1_000), toVins(3_000).slice(1_000)];
    const outcomes: boolean[] = [];
    const states = new Set<string>();
    const decode = (vin: Vin): void => {
      void source.decode({ vin }, never()).then(
        () => outcomes.push(true),
        () => outcomes.push(false),
      );
    };
    crowd.forEach(decode);
    for (const vin of trickle) {
      decode(vin);
      await vi.advanceTimersByTimeAsync(50);
      states.add(source.state().breaker);
    }
    await vi.advanceTimersByTimeAsync(60_000);

    expect([...states]).toEqual(["closed"]);
    expect(outcomes.filter((isAnswered) => isAnswered).length).toBeGreaterThanOrEqual(0.97 * 3_000);
    expect(outcomes).toHaveLength(3_000);
  },
);

test("when the breaker opens, callers that wait between attempts or in the queue are refused at once", async () => {
  const transport = new ScriptedTransport();
  transport.mode = "failing";
  await using source = createSource(transport);
  const startedAt = performance.now();
  const ends: number[] = [];

  for (const vin of toVins(2_000)) {
    void source.decode({ vin }, never()).catch(() => ends.push(performance.now() - startedAt));
  }
  await vi.advanceTimersByTimeAsync(1_000);

  expect(ends).toHaveLength(2_000);
  // The first three to fail open it, after one latency; the last ones have gathered for 50 ms by then.
  expect(Math.max(...ends)).toBeLessThanOrEqual(150);
  expect(transport.sentAt.length).toBeLessThanOrEqual(16);
});

test("an answer that takes 3 s is still used", async () => {
  const transport = new ScriptedTransport();
  transport.latencyMs = 3_000;
  await using source = createSource(transport);
  const decodes: Decode[] = [];

  for (const vin of toVins(100)) {
    void source.decode({ vin }, never()).then((decode) => decodes.push(decode));
  }
  await vi.advanceTimersByTimeAsync(3_050);

  expect(decodes).toHaveLength(100);
});

test("callers that exceed the queue are refused at once", async () => {
  const transport = new ScriptedTransport();
  transport.latencyMs = 7_900;
  await using source = createSource(transport);
  const outcomes: { readonly isAnswered: boolean; readonly at: number }[] = [];
  const note = (isAnswered: boolean) => (): unknown => outcomes.push({ isAnswered, at: performance.now() });
  const startedAt = performance.now();

  for (const vin of toVins(10_000)) {
    void source.decode({ vin }, never()).then(note(true), note(false));
  }
  await vi.advanceTimersByTimeAsync(50);
  const refusedAtOnce = outcomes.length;
  await vi.advanceTimersByTimeAsync(60_000);

  expect(refusedAtOnce).toBeGreaterThanOrEqual(2_000);
  expect(outcomes).toHaveLength(10_000);
  expect(Math.max(...outcomes.map(({ at }) => at)) - startedAt).toBeLessThanOrEqual(38_100);
});

test("callers that leave are not failures of vPIC, and leave no timer", async () => {
  const transport = new ScriptedTransport();
  transport.mode = "silent";
  await using source = createSource(transport);
  const caller = new AbortController();
  const decodes = toVins(500).map((vin) => source.decode({ vin }, caller.signal));
  await vi.advanceTimersByTimeAsync(1_000);

  caller.abort(new Error("gone"));
  const outcomes = await Promise.allSettled(decodes);
  await vi.advanceTimersByTimeAsync(0);

  expect(new Set(outcomes.map((outcome) => outcome.status === "rejected" && outcome.reason))).toEqual(
    new Set([caller.signal.reason]),
  );
  expect(vi.getTimerCount()).toBe(0);
  expect(source.state()).toMatchObject({ breaker: "closed", runningRequests: 0, waitingRequests: 0, gatheringVins: 0 });
});

test("closing rejects every decode as unavailable, and leaves no timer", async () => {
  const transport = new ScriptedTransport();
  transport.mode = "silent";
  const source = createSource(transport);
  const decodes = toVins(500).map((vin) => source.decode({ vin }, never()));
  await vi.advanceTimersByTimeAsync(1_000);

  await source[Symbol.asyncDispose]();
  const outcomes = await Promise.allSettled([...decodes, ...toVins(1).map((vin) => source.decode({ vin }, never()))]);
  await vi.advanceTimersByTimeAsync(0);

  const names = outcomes.map((outcome) =>
    outcome.status === "rejected" && outcome.reason instanceof Error ? outcome.reason.name : "",
  );
  expect(new Set(names)).toEqual(new Set(["SourceUnavailableError"]));
  expect(vi.getTimerCount()).toBe(0);
});
