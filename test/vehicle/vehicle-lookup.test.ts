import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { NoSourceAvailableError, SourceUnavailableError, VinNotDecodedError } from "../../src/vehicle/errors.ts";
import type { Decode, VehicleSource } from "../../src/vehicle/vehicle.ts";
import type { LookupRequest } from "../../src/vehicle/vehicle-lookup.ts";
import { VehicleLookup } from "../../src/vehicle/vehicle-lookup.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { aVehicle } from "../support/a-vehicle.ts";
import { MemoryStore } from "../support/memory-store.ts";
import { byHand, ScriptedSource } from "../support/scripted-source.ts";

const vin = parseVin("1XPWD40X1ED215307");
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const freshness = { freshForMs: 30 * DAY_MS, staleForMs: 365 * DAY_MS, negativeForMs: DAY_MS, snapshotForMs: HOUR_MS };
const nothingKnown = { make: "", model: "", modelYear: "" };

function aRequest(overrides: Partial<LookupRequest> = {}): LookupRequest {
  return { query: { vin }, view: "full", signal: new AbortController().signal, ...overrides };
}

function unavailable(retryAfterMs?: number): () => never {
  return () => {
    throw new SourceUnavailableError("out of order", { retryAfterMs });
  };
}

function setUp(sources: readonly VehicleSource[]): { lookup: VehicleLookup; store: MemoryStore } {
  const store = new MemoryStore();
  const lookup = new VehicleLookup({ store, sources, freshness, patienceMs: 2_000, onSourceFault: () => undefined });
  return { lookup, store };
}

async function remember(store: MemoryStore, decode: Decode): Promise<void> {
  await store.put({ vin: decode.vin }, decode, await store.removalsOf(decode.vin));
}

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 10, 22) });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("a miss", () => {
  test("is decoded by the first source and stored", async () => {
    const vpic = new ScriptedSource("vpic");
    const { lookup, store } = setUp([vpic, new ScriptedSource("snapshot")]);

    const first = await lookup.lookup(aRequest());
    const second = await lookup.lookup(aRequest());

    expect(first).toMatchObject({ cached: false, stale: false, vehicle: { make: "PETERBILT", source: "vpic" } });
    expect(second).toMatchObject({ cached: true, stale: false, vehicle: { make: "PETERBILT", source: "vpic" } });
    expect(vpic.asked).toHaveLength(1);
    expect(store.entries.size).toBe(1);
  });

  test("of a thousand callers is decoded once", async () => {
    const { script, answers } = byHand();
    const vpic = new ScriptedSource("vpic", script);
    const { lookup } = setUp([vpic]);

    const callers = Array.from({ length: 1_000 }, async () => await lookup.lookup(aRequest()));
    await vi.advanceTimersByTimeAsync(0);
    answers[0]?.resolve(aVehicle());
    const results = await Promise.all(callers);

    expect(vpic.asked).toHaveLength(1);
    expect(results.every(({ vehicle }) => vehicle.model === "388")).toBe(true);
  });

  test("is decoded once per model year", async () => {
    const vpic = new ScriptedSource("vpic");
    const { lookup, store } = setUp([vpic]);

    await lookup.lookup(aRequest());
    await lookup.lookup(aRequest({ query: { vin, modelYear: 2011 } }));

    expect(vpic.asked).toEqual([{ vin }, { vin, modelYear: 2011 }]);
    expect(store.entries.size).toBe(2);
  });

  test("is answered by the snapshot at once when vPIC refuses", async () => {
    const { lookup } = setUp([new ScriptedSource("vpic", unavailable()), new ScriptedSource("snapshot")]);

    const result = await lookup.lookup(aRequest());

    expect(result).toMatchObject({ cached: false, vehicle: { source: "snapshot" } });
  });

  test("is answered by the snapshot when vPIC takes longer than the patience, and vPIC's late answer replaces it", async () => {
    const { script, answers } = byHand();
    const { lookup } = setUp([new ScriptedSource("vpic", script), new ScriptedSource("snapshot")]);

    const caller = lookup.lookup(aRequest());
    await vi.advanceTimersByTimeAsync(2_000);
    const first = await caller;
    answers[0]?.resolve(aVehicle());
    await vi.advanceTimersByTimeAsync(0);
    const second = await lookup.lookup(aRequest());

    expect(first).toMatchObject({ cached: false, vehicle: { source: "snapshot" } });
    expect(second).toMatchObject({ cached: true, vehicle: { source: "vpic" } });
  });

  test("is not harmed by a failure of vPIC after its patience, and leaves no timer", async () => {
    const { script, answers } = byHand();
    const { lookup } = setUp([new ScriptedSource("vpic", script), new ScriptedSource("snapshot")]);

    const caller = lookup.lookup(aRequest());
    await vi.advanceTimersByTimeAsync(2_000);
    answers[0]?.reject(new Error("too late"));
    const result = await caller;

    expect(result.vehicle.source).toBe("snapshot");
    expect(vi.getTimerCount()).toBe(0);
  });

  test("waits for vPIC until 100 ms before the deadline when there is no other source", async () => {
    const { lookup } = setUp([new ScriptedSource("vpic", byHand().script)]);
    const outcome = vi.fn<(error: unknown) => void>();

    Promise.resolve(lookup.lookup(aRequest({ timeoutMs: 5_000 }))).catch(outcome);
    await vi.advanceTimersByTimeAsync(4_899);
    const early = outcome.mock.calls.length;
    await vi.advanceTimersByTimeAsync(1);

    expect(early).toBe(0);
    expect(outcome).toHaveBeenCalledWith(expect.any(NoSourceAvailableError));
  });

  test("is unavailable, with the shortest retry delay of the sources, when none can answer", async () => {
    const { lookup } = setUp([
      new ScriptedSource("vpic", unavailable(30_000)),
      new ScriptedSource("snapshot", unavailable(4_000)),
    ]);

    const caller = lookup.lookup(aRequest());

    await expect(caller).rejects.toMatchObject({ name: "NoSourceAvailableError", retryAfterMs: 4_000 });
  });

  test("is not found when vPIC cannot decode the VIN, and again from the cache", async () => {
    const vpic = new ScriptedSource("vpic", (query) => aVehicle({ vin: query.vin, ...nothingKnown }));
    const { lookup } = setUp([vpic, new ScriptedSource("snapshot")]);

    await expect(lookup.lookup(aRequest())).rejects.toThrow(VinNotDecodedError);
    await expect(lookup.lookup(aRequest())).rejects.toThrow(VinNotDecodedError);

    expect(vpic.asked).toHaveLength(1);
  });

  test("is decoded by vPIC if a snapshot that ranks first cannot", async () => {
    const snapshot = new ScriptedSource("snapshot", (query) =>
      aVehicle({ vin: query.vin, source: "snapshot", ...nothingKnown }),
    );
    const { lookup } = setUp([snapshot, new ScriptedSource("vpic")]);

    const result = await lookup.lookup(aRequest());

    expect(result.vehicle.source).toBe("vpic");
  });

  test("is stored even if its only caller has gone", async () => {
    const { script, answers } = byHand();
    const { lookup, store } = setUp([new ScriptedSource("vpic", script)]);
    const caller = new AbortController();

    const left = lookup.lookup(aRequest({ signal: caller.signal }));
    await vi.advanceTimersByTimeAsync(0);
    caller.abort(new Error("gone"));
    await expect(left).rejects.toThrow("gone");
    answers[0]?.resolve(aVehicle());
    await vi.advanceTimersByTimeAsync(0);

    expect(store.entries.size).toBe(1);
  });

  test("is still answered for waiting callers when others leave", async () => {
    const { script, answers } = byHand();
    const { lookup } = setUp([new ScriptedSource("vpic", script)]);
    const leaving = Array.from({ length: 10 }, () => new AbortController());

    const left = leaving.map(({ signal }) => Promise.resolve(lookup.lookup(aRequest({ signal }))).catch(() => "left"));
    const staying = Array.from({ length: 10 }, async () => await lookup.lookup(aRequest()));
    await vi.advanceTimersByTimeAsync(0);
    for (const caller of leaving) {
      caller.abort();
    }
    answers[0]?.resolve(aVehicle());

    expect(await Promise.all(left)).toEqual(Array.from({ length: 10 }, () => "left"));
    expect(await Promise.all(staying)).toHaveLength(10);
  });

  test("is not brought back by a decode that was in flight when it was removed", async () => {
    const { script, answers } = byHand();
    const { lookup, store } = setUp([new ScriptedSource("vpic", script)]);

    const caller = lookup.lookup(aRequest());
    await vi.advanceTimersByTimeAsync(0);
    const removed = await lookup.remove(vin);
    answers[0]?.resolve(aVehicle());
    await caller;

    expect(removed).toBe(false);
    expect(store.entries.size).toBe(0);
  });
});

describe("another vehicle", () => {
  const other = aVehicle({ vin: parseVin("1M8GDM9AXKP042788"), make: "MCI" });

  test("in the answer of a source is neither returned nor stored, and the next source is asked", async () => {
    const faults: unknown[] = [];
    const store = new MemoryStore();
    const sources = [new ScriptedSource("vpic", () => other), new ScriptedSource("snapshot")];
    const onSourceFault = (_: VehicleSource, error: unknown): unknown => faults.push(error);
    const lookup = new VehicleLookup({ store, sources, freshness, patienceMs: 2_000, onSourceFault });

    const result = await lookup.lookup(aRequest());

    expect(result.vehicle).toMatchObject({ vin, make: "PETERBILT", source: "snapshot" });
    expect([...store.entries.values()].map(({ decode }) => decode.vin)).toEqual([vin]);
    expect(faults).toEqual([new Error("the source answered for another VIN")]);
  });

  test("from the store is a miss", async () => {
    const { lookup, store } = setUp([new ScriptedSource("vpic")]);
    vi.spyOn(store, "find").mockResolvedValue(other);
    vi.spyOn(store, "findMany").mockResolvedValue([other]);

    const result = await lookup.lookup(aRequest());
    const entries = await lookup.readCache([aRequest()]);

    expect(result).toMatchObject({ cached: false, vehicle: { vin } });
    expect(entries).toEqual([undefined]);
  });
});

describe("an old entry", () => {
  const old = aVehicle({ decodedAt: Date.UTC(2026, 10, 22) - 40 * DAY_MS, model: "old" });

  test("is replaced when vPIC answers", async () => {
    const { lookup, store } = setUp([new ScriptedSource("vpic"), new ScriptedSource("snapshot")]);
    await remember(store, old);

    const result = await lookup.lookup(aRequest());

    expect(result).toMatchObject({ cached: false, stale: false, vehicle: { model: "388" } });
  });

  test("is returned as stale, before the snapshot is asked, when vPIC cannot answer", async () => {
    const snapshot = new ScriptedSource("snapshot");
    const { lookup, store } = setUp([new ScriptedSource("vpic", unavailable()), snapshot]);
    await remember(store, old);

    const result = await lookup.lookup(aRequest());

    expect(result).toMatchObject({ cached: true, stale: true, vehicle: { model: "old" } });
    expect(snapshot.asked).toHaveLength(0);
  });

  test("is replaced by vPIC also when the snapshot is the first source", async () => {
    const snapshot = new ScriptedSource("snapshot");
    const { lookup, store } = setUp([snapshot, new ScriptedSource("vpic")]);
    await remember(store, old);

    const result = await lookup.lookup(aRequest());

    expect(result).toMatchObject({ cached: false, vehicle: { source: "vpic", model: "388" } });
    expect(snapshot.asked).toHaveLength(0);
  });

  test("is not returned when it is older than a stale entry may be", async () => {
    const { lookup, store } = setUp([new ScriptedSource("vpic", unavailable()), new ScriptedSource("snapshot")]);
    await remember(store, { ...old, decodedAt: Date.UTC(2025, 10, 1) });

    const result = await lookup.lookup(aRequest());

    expect(result).toMatchObject({ cached: false, vehicle: { source: "snapshot" } });
  });

  test("is decoded again with a maximum age of 0, like a young one", async () => {
    const vpic = new ScriptedSource("vpic");
    const { lookup } = setUp([vpic]);

    await lookup.lookup(aRequest());
    const again = await lookup.lookup(aRequest({ maxAgeMs: 0 }));

    expect(again.cached).toBe(false);
    expect(vpic.asked).toHaveLength(2);
  });
});

test("a deadline that has passed ends the wait for vPIC at once, without a warning from Node", async () => {
  vi.useRealTimers();
  const warnings: Error[] = [];
  const collect = (warning: Error): unknown => warnings.push(warning);
  process.on("warning", collect);
  const { lookup } = setUp([new ScriptedSource("vpic", byHand().script)]);

  const looking = lookup.lookup(aRequest({ timeoutMs: -1 }));

  await expect(looking).rejects.toBeInstanceOf(NoSourceAvailableError);
  process.off("warning", collect);
  expect(warnings).toEqual([]);
});

describe("an entry of the snapshot", () => {
  test("is returned at once, and replaced by vPIC in the background", async () => {
    const vpic = new ScriptedSource("vpic");
    const { lookup, store } = setUp([vpic, new ScriptedSource("snapshot")]);
    await remember(store, aVehicle({ source: "snapshot", decodedAt: Date.now() }));

    const first = await lookup.lookup(aRequest());
    await vi.advanceTimersByTimeAsync(0);
    const second = await lookup.lookup(aRequest());

    expect(first).toMatchObject({ cached: true, vehicle: { source: "snapshot" } });
    expect(second).toMatchObject({ cached: true, vehicle: { source: "vpic" } });
  });

  test("is not refreshed for a second after vPIC refused", async () => {
    const vpic = new ScriptedSource("vpic", unavailable());
    const { lookup, store } = setUp([vpic, new ScriptedSource("snapshot")]);
    await remember(store, aVehicle({ source: "snapshot", decodedAt: Date.now() }));

    for (let i = 0; i < 5; i++) {
      await lookup.lookup(aRequest());
      await vi.advanceTimersByTimeAsync(100);
    }
    const askedInTheFirstHalfSecond = vpic.asked.length;
    await vi.advanceTimersByTimeAsync(1_000);
    await lookup.lookup(aRequest());
    await vi.advanceTimersByTimeAsync(0);

    expect(askedInTheFirstHalfSecond).toBe(1);
    expect(vpic.asked).toHaveLength(2);
  });

  test("is refreshed although vPIC has just refused another VIN", async () => {
    const other = parseVin("1XKWDB0X57J211825");
    const refuse = unavailable();
    const vpic = new ScriptedSource("vpic", (query) => (query.vin === vin ? refuse() : aVehicle({ vin: query.vin })));
    const { lookup, store } = setUp([vpic, new ScriptedSource("snapshot")]);
    await remember(store, aVehicle({ source: "snapshot", decodedAt: Date.now() }));
    await remember(store, aVehicle({ vin: other, source: "snapshot", decodedAt: Date.now() }));

    await lookup.lookup(aRequest());
    await vi.advanceTimersByTimeAsync(0);
    await lookup.lookup(aRequest({ query: { vin: other } }));
    await vi.advanceTimersByTimeAsync(0);

    expect(vpic.asked.map((query) => query.vin)).toEqual([vin, other]);
  });

  test("is not refreshed when the snapshot is the first source", async () => {
    const vpic = new ScriptedSource("vpic");
    const { lookup, store } = setUp([new ScriptedSource("snapshot"), vpic]);
    await remember(store, aVehicle({ source: "snapshot", decodedAt: Date.now() }));

    await lookup.lookup(aRequest());
    await vi.advanceTimersByTimeAsync(0);

    expect(vpic.asked).toHaveLength(0);
  });
});

describe("a VIN that another process asks vPIC for", () => {
  test("is answered by what that process stores, without asking", async () => {
    const vpic = new ScriptedSource("vpic");
    const store = new MemoryStore();
    const lookup = new VehicleLookup({
      store,
      sources: [vpic],
      freshness,
      patienceMs: 2_000,
      onSourceFault: () => undefined,
      fleet: {
        lease: async () => {
          await remember(store, aVehicle({ decodedAt: Date.now(), model: "of the other" }));
          return () => undefined;
        },
      },
    });

    const { vehicle } = await lookup.lookup(aRequest());

    expect([vehicle.model, vpic.asked]).toEqual(["of the other", []]);
  });

  test("is asked for when that process stored nothing, and released afterwards", async () => {
    const vpic = new ScriptedSource("vpic");
    let released = 0;
    const lookup = new VehicleLookup({
      store: new MemoryStore(),
      sources: [vpic],
      freshness,
      patienceMs: 2_000,
      onSourceFault: () => undefined,
      fleet: { lease: async () => () => void released++ },
    });

    await lookup.lookup(aRequest());

    expect([vpic.asked.length, released]).toEqual([1, 1]);
  });

  test("is answered by the snapshot when the caller's patience ends", async () => {
    const vpic = new ScriptedSource("vpic");
    const lookup = new VehicleLookup({
      store: new MemoryStore(),
      sources: [vpic, new ScriptedSource("snapshot")],
      freshness,
      patienceMs: 2_000,
      onSourceFault: () => undefined,
      fleet: { lease: () => new Promise(() => undefined) },
    });
    const answer = lookup.lookup(aRequest());

    await vi.advanceTimersByTimeAsync(2_000);

    expect((await answer).vehicle.source).toBe("snapshot");
    expect(vpic.asked).toEqual([]);
  });
});
