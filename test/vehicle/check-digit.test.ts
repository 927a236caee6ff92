import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkDigit, hasValidCheckDigit } from "../../src/vehicle/check-digit.ts";

const anyCharacter = fc.constantFrom(...Array.from("0123456789ABCDEFGHJKLMNPRSTUVWXYZ"));
const anyVin = fc.string({ unit: anyCharacter, minLength: 17, maxLength: 17 });

/** 49 CFR 565.15(c), tables III and IV, as printed: the characters of each value, the weight of each position. */
const CHARACTERS_OF_VALUE = ["0", "1AJ", "2BKS", "3CLT", "4DMU", "5ENV", "6FW", "7GPX", "8HY", "9RZ"];
const WEIGHT_OF_POSITION = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];

function checkDigitByTheBook(vin: string): string {
  const products = Array.from(vin).map(
    (character, index) =>
      CHARACTERS_OF_VALUE.findIndex((characters) => characters.includes(character)) * (WEIGHT_OF_POSITION[index] ?? 0),
  );
  return "0123456789X".charAt(products.reduce((sum, product) => sum + product) % 11);
}

describe("checkDigit", () => {
  test.each([
    ["1M8GDM9AXKP042788", "X"],
    ["5GZCZ43D13S812715", "1"],
    ["1XPWD40X1ED215307", "1"],
    ["11111111111111111", "1"],
  ])("of %s is %s", (vin, expected) => {
    const digit = checkDigit(vin);

    expect(digit).toBe(expected);
  });

  test("agrees with the tables of the standard for any 17 characters", () => {
    fc.assert(
      fc.property(anyVin, (vin) => {
        const digit = checkDigit(vin);

        expect(digit).toBe(checkDigitByTheBook(vin));
      }),
    );
  });

  test("does not depend on position 9", () => {
    fc.assert(
      fc.property(anyVin, anyCharacter, (vin, character) => {
        const digit = checkDigit(withCheckDigit(vin, character));

        expect(digit).toBe(checkDigit(vin));
      }),
    );
  });
});

describe("hasValidCheckDigit", () => {
  test("accepts a VIN with its check digit and no other", () => {
    fc.assert(
      fc.property(anyVin, anyCharacter, (vin, character) => {
        const isValid = hasValidCheckDigit(withCheckDigit(vin, character));

        expect(isValid).toBe(character === checkDigitByTheBook(vin));
      }),
    );
  });
});

function withCheckDigit(vin: string, character: string): string {
  return vin.slice(0, 8) + character + vin.slice(9);
}
