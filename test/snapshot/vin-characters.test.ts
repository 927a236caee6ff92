import { describe, expect, test } from "vitest";
import { invalidCharacters, isCheckDigitRight } from "../../src/snapshot/vin-characters.ts";

describe("invalidCharacters", () => {
  test("finds none in the VIN of a car", () => {
    const found = invalidCharacters("1M8GDM9AXKP042788", true, false);

    expect(found).toBe("");
  });

  test("names positions and characters", () => {
    const found = invalidCharacters("1M8GDM9ABUPA42788", true, false);

    expect(found).toBe("9:B, 10:U");
  });

  test.each([
    ["a car", "1M8GDM9AXKP0A2788", true, "13:A"],
    ["a heavy truck", "1M8GDM9AXKP0A2788", false, ""],
    ["a heavy truck, a position later", "1M8GDM9AXKP00A788", false, "14:A"],
    ["a small maker", "1M9GDM9AXKP0AB788", false, ""],
    ["a small maker, a position later", "1M9GDM9AXKP0ABC88", false, "15:C"],
  ])("expects digits in the serial number of %s", (_, vin, isLightVehicle, expected) => {
    const found = invalidCharacters(vin, isLightVehicle, false);

    expect(found).toBe(expected);
  });

  test("ignores position 9 of an off-road vehicle", () => {
    const found = invalidCharacters("1M8GDM9ABKP042788", true, true);

    expect(found).toBe("");
  });
});

describe("isCheckDigitRight", () => {
  test.each([
    ["1M8GDM9AXKP042788", true],
    ["1M8GDM9A1KP042788", false],
    // If a character is not allowed, the sum does not matter.
    ["1M8GDM9AXKP0J2788", false],
  ])("of %s is %s", (vin, expected) => {
    const isRight = isCheckDigitRight(vin, true);

    expect(isRight).toBe(expected);
  });
});
