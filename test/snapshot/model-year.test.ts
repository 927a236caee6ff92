import { describe, expect, test } from "vitest";
import { impliedYear, yearOfOtherCycle } from "../../src/snapshot/model-year.ts";

const LATEST_YEAR = 2028;

/** A VIN of which only positions 7 and 10 matter. */
function vinWith(position7: string, position10: string): string {
  return `1AB123${position7}80${position10}A000001`;
}

describe("impliedYear", () => {
  test.each([
    ["1", "A", 1980],
    ["1", "N", 1992],
    ["1", "Y", 2000],
    ["1", "9", 2009],
    ["A", "A", 2010],
    ["A", "H", 2017],
    ["A", "P", 2023],
    ["A", "T", 2026],
  ])("of a car with %s at position 7 and %s at position 10 is %i, for certain", (position7, position10, year) => {
    const implied = impliedYear(vinWith(position7, position10), true, LATEST_YEAR);

    expect(implied).toEqual({ year, isConclusive: true });
  });

  test.each([
    ["1", "E", 2014],
    ["A", "E", 2014],
    ["1", "J", 2018],
  ])(
    "of a heavy truck with %s at position 7 and %s at position 10 is %i or 30 years less",
    (position7, position10, year) => {
      const implied = impliedYear(vinWith(position7, position10), false, LATEST_YEAR);

      expect(implied).toEqual({ year, isConclusive: false });
    },
  );

  test.each([true, false])("is moved back 30 years when it is too far ahead (light vehicle: %s)", (isLightVehicle) => {
    const implied = impliedYear(vinWith("A", "X"), isLightVehicle, LATEST_YEAR);

    expect(implied).toEqual({ year: 1999, isConclusive: true });
  });

  test("accepts the latest year itself", () => {
    const implied = impliedYear(vinWith("A", "W"), true, LATEST_YEAR);

    expect(implied?.year).toBe(2028);
  });

  test.each(["0", "U", "Z"])("is unknown with %s at position 10", (position10) => {
    const implied = impliedYear(vinWith("A", position10), true, LATEST_YEAR);

    expect(implied).toBeUndefined();
  });
});

describe("yearOfOtherCycle", () => {
  test.each([
    [1984, 2014],
    [1998, 2028],
    [2014, 1984],
    [2010, 1980],
  ])("of %i is %i", (year, expected) => {
    const other = yearOfOtherCycle(year, LATEST_YEAR);

    expect(other).toBe(expected);
  });

  test("is undefined when it is too far ahead", () => {
    const other = yearOfOtherCycle(1999, LATEST_YEAR);

    expect(other).toBeUndefined();
  });
});
