import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { Decode, VehicleStore } from "../../src/vehicle/vehicle.ts";
import { parseVin, type Vin } from "../../src/vehicle/vin.ts";
import { decodeOf, NOON, someVins, store } from "./vehicle-samples.ts";

/** A kind of store under test. */
export interface StoreUnderTest extends AsyncDisposable {
  /** Opens one more store on the same database, as another process would. */
  open(): Promise<VehicleStore & AsyncDisposable>;
  /** Moves the clock of all stores. */
  setTime(now: number): void;
}

const HOUR_MS = 3_600_000;
const TRUCK = parseVin("1XPWD40X1ED215307");
const OTHER_TRUCK = parseVin("1XKWDB0X57J211825");

function notDecoded(vin: Vin, changes: Partial<Decode> = {}): Decode {
  return decodeOf(vin, { make: "", model: "", modelYear: "", bodyClass: "", attributes: {}, ...changes });
}

/** What every VehicleStore must do. */
export function describeVehicleStore(name: string, create: () => Promise<StoreUnderTest>): void {
  describe(`${name} as a vehicle store`, () => {
    let underTest: StoreUnderTest;
    let vehicles: VehicleStore & AsyncDisposable;

    beforeEach(async () => {
      underTest = await create();
      underTest.setTime(NOON);
      vehicles = await underTest.open();
    });

    afterEach(async () => {
      await vehicles[Symbol.asyncDispose]();
      await underTest[Symbol.asyncDispose]();
    });

    test("finds nothing for a VIN that was never stored", async () => {
      const found = await vehicles.find({ vin: TRUCK }, "full");

      expect(found).toBeUndefined();
    });

    test("returns the whole decode in the full view", async () => {
      const decode = decodeOf(TRUCK, {
        decodedAt: NOON - 1,
        verdict: {
          codes: [1, 5, 14, 400],
          text: "1 - Check Digit (9th position) does not calculate properly",
          suggestedVin: "1XPWD40X!ED215307",
          possibleValues: "(9:0123456789X)",
          additionalText: "In the Possible values section, each pair of parenthesis gives a position.",
        },
      });

      const stored = await store(vehicles, { vin: TRUCK }, decode);

      expect(stored).toBe(true);
      expect(await vehicles.find({ vin: TRUCK }, "full")).toEqual(decode);
    });

    test("returns our guess and the date of the snapshot's data in both views", async () => {
      const known = { model: "", source: "snapshot", likelyVin: OTHER_TRUCK, dataDate: "2026-02-17" } as const;

      await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK, known));

      expect(await vehicles.find({ vin: TRUCK }, "basic")).toMatchObject(known);
      expect(await vehicles.findMany([{ vin: TRUCK }], "full")).toMatchObject([known]);
    });

    test("forgets our guess and the date with the decode that had them", async () => {
      const snapshot = decodeOf(TRUCK, {
        model: "",
        source: "snapshot",
        likelyVin: OTHER_TRUCK,
        dataDate: "2026-02-17",
      });
      await store(vehicles, { vin: TRUCK }, snapshot);

      await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK));

      expect(await vehicles.find({ vin: TRUCK }, "full")).toEqual(decodeOf(TRUCK));
    });

    test("leaves the attributes out of the basic view", async () => {
      const { attributes: _, ...basic } = decodeOf(TRUCK);

      await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK));

      expect(await vehicles.find({ vin: TRUCK }, "basic")).toEqual(basic);
    });

    test("distinguishes a verdict without codes from one with code 0", async () => {
      const verdict = { codes: [], text: "", suggestedVin: "", possibleValues: "", additionalText: "" };

      await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK, { verdict }));

      expect((await vehicles.find({ vin: TRUCK }, "basic"))?.verdict).toEqual(verdict);
    });

    test("keeps a VIN that could not be decoded", async () => {
      await store(vehicles, { vin: TRUCK }, notDecoded(TRUCK));

      expect(await vehicles.find({ vin: TRUCK }, "full")).toEqual(notDecoded(TRUCK));
    });

    test("replaces an entry by a later decode", async () => {
      await store(vehicles, { vin: TRUCK }, notDecoded(TRUCK));

      const stored = await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK, { model: "389" }));

      expect(stored).toBe(true);
      expect(await vehicles.find({ vin: TRUCK }, "full")).toEqual(decodeOf(TRUCK, { model: "389" }));
    });

    test("keeps one entry for each model year that was asked for, and one for queries without a year", async () => {
      await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK, { model: "none" }));
      await store(vehicles, { vin: TRUCK, modelYear: 1984 }, decodeOf(TRUCK, { model: "1984" }));

      expect((await vehicles.find({ vin: TRUCK }, "basic"))?.model).toBe("none");
      expect((await vehicles.find({ vin: TRUCK, modelYear: 1984 }, "basic"))?.model).toBe("1984");
      expect(await vehicles.find({ vin: TRUCK, modelYear: 2014 }, "basic")).toBeUndefined();
    });

    test("never lets the snapshot overwrite vPIC", async () => {
      await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK));

      const stored = await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK, { source: "snapshot", model: "OTHER" }));

      expect(stored).toBe(false);
      expect((await vehicles.find({ vin: TRUCK }, "basic"))?.model).toBe("388");
    });

    test("lets vPIC overwrite the snapshot, and the snapshot itself", async () => {
      const snapshot = decodeOf(TRUCK, { source: "snapshot" });
      await store(vehicles, { vin: TRUCK }, snapshot);

      const second = await store(vehicles, { vin: TRUCK }, { ...snapshot, decodedAt: NOON + 1 });
      const third = await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK, { decodedAt: NOON + 2 }));

      expect([second, third]).toEqual([true, true]);
      expect((await vehicles.find({ vin: TRUCK }, "basic"))?.source).toBe("vpic");
    });

    test("finds many in the order they were asked for, with gaps and repetitions", async () => {
      const [first, second, third] = [
        { vin: TRUCK },
        { vin: OTHER_TRUCK },
        { vin: parseVin("1XP5DB9X7YN526158") },
      ] as const;
      await store(vehicles, first, decodeOf(first.vin));
      await store(vehicles, third, decodeOf(third.vin));
      await store(vehicles, { ...third, modelYear: 1999 }, decodeOf(third.vin, { model: "hinted" }));

      const found = await vehicles.findMany([third, second, first, third, { ...third, modelYear: 1999 }], "full");

      expect(found).toEqual([
        decodeOf(third.vin),
        undefined,
        decodeOf(first.vin),
        decodeOf(third.vin),
        decodeOf(third.vin, { model: "hinted" }),
      ]);
    });

    test("finds many in the basic view, without attributes", async () => {
      const { attributes: _, ...basic } = decodeOf(TRUCK);
      await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK));

      const found = await vehicles.findMany([{ vin: TRUCK }], "basic");

      expect(found).toEqual([basic]);
    });

    test("finds thousands at once, and none when none are asked for", async () => {
      const queries = someVins(5_000).map((vin) => ({ vin }));
      const known = queries.filter((_, index) => index % 100 === 0);
      for (const query of known) {
        await store(vehicles, query, decodeOf(query.vin));
      }

      const found = await vehicles.findMany(queries, "basic");

      expect(found.map((vehicle) => vehicle?.vin)).toEqual(
        queries.map(({ vin }, index) => (index % 100 === 0 ? vin : undefined)),
      );
      expect(await vehicles.findMany([], "full")).toEqual([]);
    });

    test("stores thousands at once", async () => {
      const vins = someVins(2_000);

      const stored = await Promise.all(vins.map((vin) => store(vehicles, { vin }, decodeOf(vin))));

      expect(stored.filter((wasStored) => !wasStored)).toEqual([]);
    });

    test("removes every entry of a VIN, and no other's", async () => {
      await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK));
      await store(vehicles, { vin: TRUCK, modelYear: 1984 }, notDecoded(TRUCK));
      await store(vehicles, { vin: OTHER_TRUCK }, decodeOf(OTHER_TRUCK));

      const removed = await vehicles.remove(TRUCK);

      expect(removed).toBe(true);
      expect(await vehicles.find({ vin: TRUCK }, "basic")).toBeUndefined();
      expect(await vehicles.find({ vin: TRUCK, modelYear: 1984 }, "basic")).toBeUndefined();
      expect(await vehicles.find({ vin: OTHER_TRUCK }, "basic")).toBeDefined();
    });

    test("removes thousands at once", async () => {
      const vins = someVins(2_000);
      await Promise.all(vins.map((vin) => store(vehicles, { vin }, decodeOf(vin))));

      const removed = await Promise.all(vins.map((vin) => vehicles.remove(vin)));

      expect(removed.filter((wasThere) => !wasThere)).toEqual([]);
      const left = await vehicles.findMany(
        vins.map((vin) => ({ vin })),
        "basic",
      );
      expect(left.filter((vehicle) => vehicle !== undefined)).toEqual([]);
    });

    test("reports one removal when many callers remove the same VIN at once", async () => {
      await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK));

      const removed = await Promise.all([TRUCK, TRUCK, TRUCK].map((vin) => vehicles.remove(vin)));

      expect(removed).toEqual([true, false, false]);
    });

    test("keeps the later of two decodes that are stored at once", async () => {
      const before = await vehicles.removalsOf(TRUCK);

      const stored = await Promise.all(
        ["first", "second"].map((model) => vehicles.put({ vin: TRUCK }, decodeOf(TRUCK, { model }), before)),
      );

      expect(stored).toEqual([true, true]);
      expect((await vehicles.find({ vin: TRUCK }, "basic"))?.model).toBe("second");
    });

    test("reports that there was nothing to remove", async () => {
      await store(vehicles, { vin: TRUCK }, notDecoded(TRUCK));

      const answers = [await vehicles.remove(TRUCK), await vehicles.remove(TRUCK), await vehicles.remove(OTHER_TRUCK)];

      expect(answers).toEqual([true, false, false]);
    });

    test("drops a decode that began before a removal, even of a VIN that was not stored", async () => {
      const before = await vehicles.removalsOf(TRUCK);
      await vehicles.remove(TRUCK);

      const stored = await vehicles.put({ vin: TRUCK, modelYear: 2014 }, decodeOf(TRUCK), before);

      expect(stored).toBe(false);
      expect(await vehicles.find({ vin: TRUCK, modelYear: 2014 }, "basic")).toBeUndefined();
    });

    test("stores a decode that began after a removal", async () => {
      await vehicles.remove(TRUCK);

      const stored = await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK));

      expect(stored).toBe(true);
    });

    test("does not let the removal of one VIN stop decodes of another", async () => {
      const before = await vehicles.removalsOf(OTHER_TRUCK);
      await vehicles.remove(TRUCK);

      const stored = await vehicles.put({ vin: OTHER_TRUCK }, decodeOf(OTHER_TRUCK), before);

      expect(stored).toBe(true);
    });

    test("does not store a decode whose beginning is not known", async () => {
      const stored = await vehicles.put({ vin: TRUCK }, decodeOf(TRUCK), Number.NaN);

      expect(stored).toBe(false);
    });

    test("sees the changes of another store on the same database", async () => {
      await using second = await underTest.open();
      await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK));
      const before = await second.removalsOf(TRUCK);

      const seen = await second.find({ vin: TRUCK }, "full");
      await vehicles.remove(TRUCK);
      const stored = await second.put({ vin: TRUCK }, decodeOf(TRUCK), before);

      expect(seen).toEqual(decodeOf(TRUCK));
      expect(stored).toBe(false);
      expect(await second.find({ vin: TRUCK }, "full")).toBeUndefined();
    });

    test("may be opened by many stores at once when it is new", async () => {
      await using fresh = await create();
      await using opened = new AsyncDisposableStack();
      const stores = await Promise.all(Array.from({ length: 5 }, () => fresh.open()));
      const vins = someVins(stores.length);
      const stored: boolean[] = [];

      for (const [index, vin] of vins.entries()) {
        const putter = opened.use(stores[index] ?? vehicles);
        stored.push(await store(putter, { vin }, decodeOf(vin)));
      }

      expect(stored).toEqual(vins.map(() => true));
      for (const reader of stores) {
        const found = await reader.findMany(
          vins.map((vin) => ({ vin })),
          "basic",
        );
        expect(found.map((vehicle) => vehicle?.vin)).toEqual(vins);
      }
    });

    test("keeps everything when it is closed and opened again", async () => {
      await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK));
      const before = await vehicles.removalsOf(OTHER_TRUCK);
      await vehicles.remove(OTHER_TRUCK);
      await vehicles[Symbol.asyncDispose]();

      vehicles = await underTest.open();

      expect(await vehicles.find({ vin: TRUCK }, "full")).toEqual(decodeOf(TRUCK));
      expect(await vehicles.put({ vin: OTHER_TRUCK }, decodeOf(OTHER_TRUCK), before)).toBe(false);
    });

    test("returns any text unchanged, including quotes, SQL, emoji and long texts", async () => {
      const texts = [
        `'; drop table vehicles; --`,
        `"quoted" \\ back \\' slash $1 ? ?? :name %s`,
        "línea\r\nzwei\t\u{1F69A}\u200B",
        "x".repeat(10_000),
        "é".normalize("NFD"),
        "{}",
        "null",
      ];
      for (const [index, vin] of someVins(texts.length).entries()) {
        const text = texts[index] ?? "";
        const verdict = { codes: [0], text, suggestedVin: text, possibleValues: text, additionalText: text };
        const decode = decodeOf(vin, {
          make: text,
          model: text,
          modelYear: text,
          bodyClass: text,
          verdict,
          attributes: { [text]: text, "\0": "\0", lone: "\uD800" },
        });

        await store(vehicles, { vin }, decode);

        expect(await vehicles.find({ vin }, "full")).toEqual(decode);
        expect(await vehicles.findMany([{ vin }], "full")).toEqual([decode]);
      }
    });

    test("replaces NUL and unpaired surrogates, which no database can store, with U+FFFD", async () => {
      await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK, { make: "a\0b", model: "a\uD800b" }));

      const found = await vehicles.find({ vin: TRUCK }, "basic");

      expect([found?.make, found?.model]).toEqual(["a\uFFFDb", "a\uFFFDb"]);
    });

    test("sweeps each class of entries by its own cutoff", async () => {
      const cutoffs = { vpic: NOON - 300, negative: NOON - 200, snapshot: NOON - 100 };
      const entries = [
        { decode: decodeOf, source: "vpic", decodedAt: cutoffs.vpic, stays: true },
        { decode: decodeOf, source: "vpic", decodedAt: cutoffs.vpic - 1, stays: false },
        { decode: notDecoded, source: "vpic", decodedAt: cutoffs.negative, stays: true },
        { decode: notDecoded, source: "vpic", decodedAt: cutoffs.negative - 1, stays: false },
        { decode: decodeOf, source: "snapshot", decodedAt: cutoffs.snapshot, stays: true },
        { decode: decodeOf, source: "snapshot", decodedAt: cutoffs.snapshot - 1, stays: false },
        { decode: notDecoded, source: "snapshot", decodedAt: cutoffs.snapshot, stays: true },
        { decode: notDecoded, source: "snapshot", decodedAt: cutoffs.snapshot - 1, stays: false },
      ] as const;
      const queries = someVins(entries.length).map((vin) => ({ vin }));
      for (const [index, { decode, source, decodedAt }] of entries.entries()) {
        const query = queries[index] ?? { vin: TRUCK };
        await store(vehicles, query, decode(query.vin, { source, decodedAt }));
      }

      const swept = await vehicles.sweep(cutoffs, 100);

      expect(swept).toBe(4);
      const left = await vehicles.findMany(queries, "basic");
      expect(left.map((vehicle) => vehicle !== undefined)).toEqual(entries.map(({ stays }) => stays));
    });

    test("sweeps in batches, oldest first", async () => {
      const queries = someVins(5).map((vin) => ({ vin }));
      const ages = [3, 1, 5, 2, 4];
      for (const [index, query] of queries.entries()) {
        await store(vehicles, query, decodeOf(query.vin, { decodedAt: NOON - (ages[index] ?? 0) }));
      }
      const cutoffs = { vpic: NOON, negative: NOON, snapshot: NOON };

      const first = await vehicles.sweep(cutoffs, 3);
      const left = await vehicles.findMany(queries, "basic");
      const second = await vehicles.sweep(cutoffs, 3);

      expect([first, second]).toEqual([3, 2]);
      expect(left.map((vehicle) => vehicle !== undefined)).toEqual([false, true, false, true, false]);
    });

    test("sweeps no more entries of all classes together than asked for", async () => {
      const sources = ["vpic", "snapshot", "vpic", "snapshot", "vpic"] as const;
      const queries = someVins(sources.length).map((vin) => ({ vin }));
      for (const [index, query] of queries.entries()) {
        await store(vehicles, query, decodeOf(query.vin, { source: sources[index] ?? "vpic", decodedAt: NOON - 1 }));
      }
      const cutoffs = { vpic: NOON, negative: NOON, snapshot: NOON };

      const swept = [await vehicles.sweep(cutoffs, 3), await vehicles.sweep(cutoffs, 3)];

      expect(swept).toEqual([3, 2]);
    });

    test("never forgets a removal while a decode from before it is running, however often it sweeps", async () => {
      const beforeAll = await vehicles.removalsOf(TRUCK);
      await vehicles.remove(TRUCK);
      const beforeSweep = await vehicles.removalsOf(TRUCK);
      for (const hours of [0.5, 2, 4]) {
        underTest.setTime(NOON + hours * HOUR_MS);
        await vehicles.sweep({ vpic: 0, negative: 0, snapshot: 0 }, 100);
      }
      await vehicles.remove(OTHER_TRUCK);
      await vehicles.remove(TRUCK);

      const answers = [
        await vehicles.put({ vin: TRUCK }, decodeOf(TRUCK), beforeAll),
        await vehicles.put({ vin: TRUCK }, decodeOf(TRUCK), beforeSweep),
        await store(vehicles, { vin: TRUCK }, decodeOf(TRUCK)),
      ];

      expect(answers).toEqual([false, false, true]);
    });

    test("does not bring back removed entries when many stores put and remove the same VINs at once", async () => {
      await using second = await underTest.open();
      const vins = someVins(8);
      const rounds = 12;
      const violations: string[] = [];
      const race = async (vin: Vin, putter: VehicleStore, remover: VehicleStore): Promise<void> => {
        const before = await putter.removalsOf(vin);
        const puts = Array.from({ length: 3 }, () => putter.put({ vin }, decodeOf(vin), before));
        await remover.remove(vin);
        if ((await remover.find({ vin }, "basic")) !== undefined) {
          violations.push(`${vin} was there when its removal had returned`);
        }
        await Promise.all(puts);
        if ((await remover.find({ vin }, "basic")) !== undefined) {
          violations.push(`${vin} came back`);
        }
      };

      for (let round = 0; round < rounds; round++) {
        await Promise.all(
          vins.map((vin, index) => (index % 2 === 0 ? race(vin, vehicles, second) : race(vin, second, vehicles))),
        );
      }

      expect(violations).toEqual([]);
    });
  });
}
