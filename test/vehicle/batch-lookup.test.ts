import { describe, expect, test } from "vitest";
import { InvalidFieldError, VinNotDecodedError } from "../../src/vehicle/errors.ts";
import type { BatchAnswer, BatchRequest } from "../../src/vehicle/batch-lookup.ts";
import { lookupBatch } from "../../src/vehicle/batch-lookup.ts";
import type { VehicleQuery, VehicleSource } from "../../src/vehicle/vehicle.ts";
import { VehicleLookup } from "../../src/vehicle/vehicle-lookup.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { aVehicle } from "../support/a-vehicle.ts";
import { eventually } from "../support/eventually.ts";
import { manyVins } from "../support/real-vins.ts";
import { MemoryStore } from "../support/memory-store.ts";
import { byHand, ScriptedSource } from "../support/scripted-source.ts";

const HOUR_MS = 3_600_000;
const freshness = {
  freshForMs: 720 * HOUR_MS,
  staleForMs: 8_760 * HOUR_MS,
  negativeForMs: 24 * HOUR_MS,
  snapshotForMs: HOUR_MS,
};

function setUp(source: VehicleSource): { lookup: VehicleLookup; store: MemoryStore } {
  const store = new MemoryStore();
  const sources = [source];
  const lookup = new VehicleLookup({ store, sources, freshness, patienceMs: 2_000, onSourceFault: () => undefined });
  return { lookup, store };
}

function aBatch(vins: readonly string[], overrides: Partial<BatchRequest> = {}): BatchRequest {
  const queryAt = (index: number): VehicleQuery => ({ vin: parseVin(vins[index] ?? "", `vins[${index}]`) });
  return { size: vins.length, queryAt, view: "basic", signal: new AbortController().signal, ...overrides };
}

async function collect(answers: AsyncIterable<BatchAnswer>): Promise<BatchAnswer[]> {
  const collected = await Array.fromAsync(answers);
  return collected.toSorted((a, b) => a.index - b.index);
}

describe("lookupBatch", () => {
  test("answers every VIN once, at its index", async () => {
    const vins = manyVins(2_000);
    const { lookup } = setUp(new ScriptedSource("vpic"));

    const answers = await collect(lookupBatch(lookup, aBatch(vins)));

    expect(answers.map((answer) => answer.index)).toEqual([...vins.keys()]);
    expect(answers.map((answer) => "result" in answer && answer.result.vehicle.vin)).toEqual(vins);
  });

  test("answers the other VINs when some are malformed or cannot be decoded", async () => {
    const [good, unknown] = manyVins(2);
    const source = new ScriptedSource("vpic", ({ vin }) =>
      aVehicle(vin === unknown ? { vin, make: "", model: "", modelYear: "" } : { vin }),
    );
    const { lookup } = setUp(source);

    const answers = await collect(lookupBatch(lookup, aBatch(["nonsense", `${good}`, `${unknown}`])));

    expect(answers).toEqual([
      { index: 0, error: expect.any(InvalidFieldError) },
      { index: 1, result: expect.objectContaining({ cached: false }) },
      { index: 2, error: expect.any(VinNotDecodedError) },
    ]);
    expect(answers[0]).toMatchObject({ error: { field: "vins[0]" } });
  });

  test("decodes a repeated VIN once and answers it at each index", async () => {
    const [vin = ""] = manyVins(1);
    const source = new ScriptedSource("vpic");
    const { lookup } = setUp(source);

    const answers = await collect(lookupBatch(lookup, aBatch([vin, vin.toLowerCase(), ` ${vin}`])));

    expect(answers.map((answer) => answer.index)).toEqual([0, 1, 2]);
    expect(source.asked).toHaveLength(1);
  });

  test("decodes a VIN once for each of its model years", async () => {
    const [vin = raise()] = manyVins(1);
    const years = [2014, undefined, 2014, 1984];
    const source = new ScriptedSource("vpic");
    const { lookup } = setUp(source);

    const queryAt = (index: number): VehicleQuery => ({ vin, modelYear: years[index] });
    const answers = await collect(lookupBatch(lookup, aBatch([], { size: years.length, queryAt })));

    expect(answers.map((answer) => answer.index)).toEqual([0, 1, 2, 3]);
    expect(source.asked).toEqual([{ vin, modelYear: 2014 }, { vin }, { vin, modelYear: 1984 }]);
  });

  test("answers hits before misses, whatever their order in the request", async () => {
    const vins = manyVins(100);
    const cached = vins.slice(50);
    const { lookup } = setUp(new ScriptedSource("vpic"));
    await collect(lookupBatch(lookup, aBatch(cached)));

    const answers = await Array.fromAsync(lookupBatch(lookup, aBatch(vins)));

    const order = answers.map((answer) => "result" in answer && answer.result.cached);
    expect(order).toEqual([...cached.map(() => true), ...cached.map(() => false)]);
  });

  test("answers misses in the order in which they are decoded", async () => {
    const vins = manyVins(3);
    const { script, answers } = byHand();
    const { lookup } = setUp(new ScriptedSource("vpic", script));

    const rows = lookupBatch(lookup, aBatch(vins));
    const order = [];
    let next = rows.next();
    await eventually(() => expect(answers).toHaveLength(3));
    for (const index of [2, 0, 1]) {
      answers[index]?.resolve(aVehicle({ vin: vins[index] ?? raise() }));
      order.push((await next).value?.index);
      next = rows.next();
    }

    expect(order).toEqual([2, 0, 1]);
    expect(await next).toEqual({ done: true, value: undefined });
  });

  test("reads many entries of the cache at once", async () => {
    const { lookup, store } = setUp(new ScriptedSource("vpic"));

    await collect(lookupBatch(lookup, aBatch(manyVins(1_000))));

    expect(store.reads).toBe(4);
  });

  test.each([
    ["malformed VINs", () => Array.from({ length: 1_000 }, () => "nonsense")],
    ["hits", () => manyVins(1_000)],
    ["one VIN again and again", () => Array.from({ length: 1_000 }, () => "1XPWD40X1ED215307")],
  ])("lets others run every hundred rows of %s", async (_, vinsOf) => {
    const { lookup } = setUp(new ScriptedSource("vpic"));
    await collect(lookupBatch(lookup, aBatch(manyVins(1_000))));
    const turns = countTurns();

    const rowsByTurn = new Map<number, number>();
    for await (const _answer of lookupBatch(lookup, aBatch(vinsOf()))) {
      rowsByTurn.set(turns.count, (rowsByTurn.get(turns.count) ?? 0) + 1);
    }
    turns.stop();

    expect(Math.max(...rowsByTurn.values())).toBeLessThanOrEqual(100);
  });

  test("decodes at most one window ahead of a slow reader", async () => {
    const source = new ScriptedSource("vpic");
    const { lookup } = setUp(source);

    const answers = lookupBatch(lookup, aBatch(manyVins(2_000)));
    await answers.next();
    await new Promise((resolve) => setImmediate(resolve));
    const askedWhileTheReaderHeld = source.asked.length;
    await answers.return(undefined);

    expect(askedWhileTheReaderHeld).toBe(500);
  });

  test("stops decodes that no other caller waits for when its reader leaves", async () => {
    const [shared, own] = manyVins(2);
    const { script, answers } = byHand();
    const source = new ScriptedSource("vpic", script);
    const { lookup } = setUp(source);
    const client = new AbortController();

    const batch = collect(lookupBatch(lookup, aBatch([`${shared}`, `${own}`], { signal: client.signal })));
    await new Promise((resolve) => setImmediate(resolve));
    const other = lookup.lookup({ ...aBatch([]), query: { vin: manyVins(1)[0] ?? raise() } });
    await new Promise((resolve) => setImmediate(resolve));
    client.abort(new Error("gone"));
    await expect(batch).rejects.toThrow("gone");
    answers[0]?.resolve(aVehicle({ vin: shared ?? raise() }));

    expect((await other).cached).toBe(false);
    expect(source.signals.map((signal) => signal.aborted)).toEqual([false, true]);
  });
});

/** Counts how often the event loop gets to others. */
function countTurns(): { readonly count: number; stop(): void } {
  const turns = { count: 0, stop: () => clearImmediate(next) };
  const turn = (): void => {
    turns.count++;
    next = setImmediate(turn);
  };
  let next = setImmediate(turn);
  return turns;
}

function raise(): never {
  throw new Error("no VIN");
}
