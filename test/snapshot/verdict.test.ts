import { describe, expect, test } from "vitest";
import { ERROR_CODES } from "../../src/snapshot/nhtsa-tables.ts";
import { textOf, weightOf } from "../../src/snapshot/verdict.ts";

describe("textOf", () => {
  test("joins NHTSA's texts", () => {
    const text = textOf(ERROR_CODES, [1, 400], false);

    expect(text).toBe("1 - Check Digit (9th position) does not calculate properly; 400 - Invalid Characters Present");
  });

  test("says that the check digit of an off-road vehicle may be inaccurate", () => {
    const text = textOf(ERROR_CODES, [1, 10], false);

    expect(text).toMatch(
      /^1 - .* NOTE: Disregard if this is an off-road vehicle PIN, .*; 10 - Off-Road Vehicle Warning/,
    );
  });

  test("says that a wrong check digit is exempted", () => {
    const text = textOf(ERROR_CODES, [0], true);

    expect(text).toMatch(/^0 - VIN decoded clean\. .* NOTE: Check Digit Exception - /);
  });

  test("is truncated as in vPIC", () => {
    const text = textOf(ERROR_CODES, [1, 8, 9, 10], false);

    expect(text).toHaveLength(500);
  });
});

describe("weightOf", () => {
  test("adds the weights of the codes", () => {
    const weight = weightOf(ERROR_CODES, [1, 8, 11]);

    expect(weight).toBe(-1025);
  });

  test("is 0 for codes without weight", () => {
    const weight = weightOf(ERROR_CODES, [0, 9, 10]);

    expect(weight).toBe(0);
  });
});
