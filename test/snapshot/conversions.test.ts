import { describe, expect, test } from "vitest";
import { calculate, convert, evaluate, type Conversion } from "../../src/snapshot/conversions.ts";
import type { Item } from "../../src/snapshot/winners.ts";

const CC = 11;
const CI = 12;
const LITRES = 13;
const CONVERSIONS: readonly Conversion[] = [
  { id: 1, fromElementId: CC, toElementId: CI, formula: "#x# / 16.387064 " },
  { id: 2, fromElementId: CI, toElementId: CC, formula: "#x# * 16.387064 " },
  { id: 3, fromElementId: CC, toElementId: LITRES, formula: "#x# / 1000." },
  { id: 4, fromElementId: LITRES, toElementId: CC, formula: "#x# * 1000" },
];

function known(elementId: number, attributeId: string, changes: Partial<Item> = {}): Item {
  return {
    elementId,
    attributeId,
    value: attributeId,
    isPattern: true,
    priority: 2010,
    changedOn: 1_600_000_000,
    keyRank: 0,
    positions: 0,
    id: 0,
    ...changes,
  };
}

function converted(...items: Item[]): Record<number, string> {
  return Object.fromEntries(convert(items, CONVERSIONS).map((step) => [step.elementId, evaluate(step)]));
}

function exact(item: Item): number[] {
  return convert([item], CONVERSIONS)
    .filter((step) => step.isExact)
    .map((step) => step.elementId);
}

describe("convert", () => {
  test("computes unknown variables", () => {
    const values = converted(known(CC, "3189"));

    expect(values).toEqual({ [CI]: "194.604719918", [LITRES]: "3.189000" });
  });

  test("leaves known variables alone", () => {
    const values = converted(known(CC, "3189"), known(CI, "195"), known(LITRES, "3.2"));

    expect(values).toEqual({});
  });

  test("does not chain conversions", () => {
    const values = converted(known(CI, "183"));

    expect(values).toEqual({ [CC]: "2998.832712" });
  });

  test("starts from the value of the highest priority", () => {
    const values = converted(known(CI, "183"), known(LITRES, "3.0", { priority: 2015 }));

    expect(values).toEqual({ [CC]: "3000.0" });
  });

  test("starts from the newest of equal priority", () => {
    const values = converted(known(LITRES, "3.0"), known(CI, "183", { changedOn: 1_700_000_000 }));

    expect(values).toEqual({ [CC]: "2998.832712" });
  });

  test.each([
    ["cubic centimetres to the last digit", known(CC, "3189"), [CI, LITRES]],
    ["round cubic centimetres", known(CC, "3800"), []],
    ["litres", known(LITRES, "3.8"), []],
    ["cubic inches", known(CI, "183"), []],
  ] as const)("trusts what it computes from %s as far as that is exact", (_, item, trusted) => {
    const elements = exact(item);

    expect(elements).toEqual(trusted);
  });

  test("returns 0, like NHTSA, when the value is not a number", () => {
    const values = converted(known(LITRES, "TBD"));

    expect(values).toEqual({ [CC]: "0" });
  });
});

describe("calculate", () => {
  // The digits that vPIC's web service prints for these displacements.
  test.each([
    ["181.8", "*", "16.387064", "2979.1682352"],
    ["3.5", "*", "1000", "3500.0"],
    ["15", "*", "1000", "15000"],
    ["183", "*", "0.016387064", "2.998832712"],
    ["3.5", "/", "0.016387064", "213.58310433156"],
    ["2.0", "/", "0.016387064", "122.04748818946"],
    ["2.5", "/", "0.016387064", "152.55936023683"],
    ["3189", "/", "16.387064", "194.604719918"],
    ["3189", "/", "1000.", "3.189000"],
  ] as const)("%s %s %s is %s", (left, operator, right, expected) => {
    const result = calculate(left, operator, right);

    expect(result).toBe(expected);
  });

  test("a negative number keeps its sign", () => {
    const result = calculate("-1.50", "*", "2");

    expect(result).toBe("-3.00");
  });

  test.each([
    ["TBD", "*", "1000"],
    ["", "*", "1000"],
    [".", "*", "1000"],
    ["1.6/1.8", "*", "1000"],
    ["1.6", "/", "0.0"],
  ] as const)("%s %s %s cannot be calculated", (left, operator, right) => {
    const result = calculate(left, operator, right);

    expect(result).toBeUndefined();
  });
});
