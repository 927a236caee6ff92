import { expect, test } from "vitest";
import { calculate } from "../../src/snapshot/decimal.ts";

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
