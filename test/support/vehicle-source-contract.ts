import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SourceUnavailableError } from "../../src/vehicle/errors.ts";
import type { VehicleSource } from "../../src/vehicle/vehicle.ts";
import { isDecoded } from "../../src/vehicle/vehicle.ts";
import type { Vin } from "../../src/vehicle/vin.ts";

/** A kind of source under test. */
export interface SourceUnderTest extends AsyncDisposable {
  readonly source: VehicleSource;
  /** A VIN that the source decodes with code 0. */
  readonly known: Vin;
  /** A VIN that the source answers without make, model and year. */
  readonly unknown: Vin;
  /** Closes the source, so that it can no longer answer. */
  close(): Promise<void>;
}

const NEVER = new AbortController().signal;

/** What every VehicleSource must do. */
export function describeVehicleSource(name: string, create: () => Promise<SourceUnderTest>): void {
  describe(`${name} as a vehicle source`, () => {
    let underTest: SourceUnderTest;
    let source: VehicleSource;

    beforeAll(async () => {
      underTest = await create();
      ({ source } = underTest);
    });

    afterAll(async () => {
      await underTest[Symbol.asyncDispose]();
    });

    test("decodes a known VIN, under the source's name and the VIN of the query", async () => {
      const decode = await source.decode({ vin: underTest.known }, NEVER);

      expect(decode).toMatchObject({ vin: underTest.known, source: source.name, verdict: { codes: [0] } });
      expect(isDecoded(decode)).toBe(true);
      expect(decode.decodedAt).toBeGreaterThan(Date.UTC(2026, 0));
    });

    test("answers for a VIN that it does not know, and says why", async () => {
      const decode = await source.decode({ vin: underTest.unknown }, NEVER);

      expect(decode).toMatchObject({ vin: underTest.unknown, source: source.name });
      expect(isDecoded(decode)).toBe(false);
      expect(decode.verdict.codes).not.toContain(0);
      expect(decode.verdict.codes.length).toBeGreaterThan(0);
    });

    test("gives trimmed texts, ascending codes, and no attribute without a value", async () => {
      for (const vin of [underTest.known, underTest.unknown]) {
        const { make, model, modelYear, bodyClass, verdict, attributes } = await source.decode({ vin }, NEVER);

        const { codes, text, suggestedVin, possibleValues, additionalText } = verdict;
        const texts = [make, model, modelYear, bodyClass, text, suggestedVin, possibleValues, additionalText];
        const values = Object.values(attributes);
        expect([...texts, ...values].filter((value) => value !== value.trim())).toEqual([]);
        expect(values).not.toContain("");
        expect(codes).toEqual([...new Set(codes)].toSorted((a, b) => a - b));
      }
    });

    test("lets the model year of the query win", async () => {
      const decode = await source.decode({ vin: underTest.known, modelYear: 2012 }, NEVER);

      expect(decode).toMatchObject({ vin: underTest.known, modelYear: "2012" });
    });

    test("answers the same query at the same time with equal vehicles", async () => {
      const query = { vin: underTest.known };

      const decodes = await Promise.all(Array.from({ length: 5 }, () => source.decode(query, NEVER)));

      const vehicles = new Set(decodes.map((decode) => JSON.stringify({ ...decode, decodedAt: 0 })));
      expect([...vehicles]).toHaveLength(1);
    });

    test("rejects with the reason of a signal that is aborted", async () => {
      const reason = new Error("gone");

      await expect(source.decode({ vin: underTest.known }, AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    test("is unavailable once it is closed", async () => {
      await using closing = await create();

      await closing.close();

      const decode = closing.source.decode({ vin: closing.known }, NEVER);
      await expect(decode).rejects.toBeInstanceOf(SourceUnavailableError);
    });
  });
}
