import type { TestRow } from "../export/vehicle-table.ts";

const VINS_PER_PATTERN = 50;
const ATTRIBUTE_COUNT = 55;
const DAY_MS = 86_400_000;
const CLEAN = {
  verdictCodes: "0",
  verdictText: "0 - VIN decoded clean. Check Digit (9th position) is correct",
};
const WRONG_CHECK_DIGIT = {
  verdictCodes: "1,14",
  verdictText: "1 - Check Digit (9th position) does not calculate properly; 14 - Unable to provide information",
};

/**
 * Fresh rows, as in a cache of fleets: about fifty consecutive VINs share their 55 attributes, each of about 30
 * characters. With `distinct`, no two rows share them, which is the worst case for size and speed.
 */
export function* benchRows(count: number, distinct: boolean): Generator<TestRow> {
  const startedAt = Date.now();
  let attributes: Record<string, string> = {};
  for (let index = 0; index < count; index++) {
    const pattern = distinct ? index : Math.floor(index / VINS_PER_PATTERN);
    if (distinct || index % VINS_PER_PATTERN === 0) {
      attributes = makeAttributes(pattern);
    }
    yield {
      vin: benchVin(index),
      make: `MAKE ${pattern % 300}`,
      model: `MODEL ${pattern % 5_000}`,
      modelYear: String(1981 + (pattern % 45)),
      bodyClass: `Body class ${pattern % 60}`,
      source: "vpic",
      decodedAt: startedAt - ((index * 977) % DAY_MS),
      ...(pattern % 5 === 0 ? WRONG_CHECK_DIGIT : CLEAN),
      attributes,
    };
  }
}

export function benchVin(index: number): string {
  return `1XPWD40X${String(index).padStart(9, "0")}`;
}

function makeAttributes(pattern: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: ATTRIBUTE_COUNT }, (_, index) => [
      `Attribute${index}`,
      `value ${(pattern * (index + 1)) % 9_973}`,
    ]),
  );
}
