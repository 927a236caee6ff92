import { describe, expect, test } from "vitest";
import { InvalidFieldError } from "../../src/vehicle/errors.ts";
import { parseVin } from "../../src/vehicle/vin.ts";

describe("parseVin", () => {
  test("trims blanks and upper-cases", () => {
    expect(parseVin(" 1xpwd40x1ed215307\t\r\n")).toBe("1XPWD40X1ED215307");
  });

  test("does not judge the check digit, which is free outside North America", () => {
    expect(parseVin("1XPWD40X9ED215307")).toBe("1XPWD40X9ED215307");
  });

  test.each([
    ["", "a VIN is required: 17 letters and digits, such as 1XPWD40X1ED215307"],
    ["   ", "a VIN is required: 17 letters and digits, such as 1XPWD40X1ED215307"],
    ["1XPWD40X1ED21530", 'a VIN has 17 characters, this has 16: "1XPWD40X1ED21530"'],
    ["1XPWD40X1ED2153077", 'a VIN has 17 characters, this has 18: "1XPWD40X1ED2153077"'],
    ["1XPWD40X1ED21530!", '"!" at position 17 is not a letter A-Z or a digit 0-9'],
    ["1XPWD40X ED215307", "a blank at position 9 is not a letter A-Z or a digit 0-9"],
    ["1XPWD40XIED215307", '"I" at position 9 is not allowed in a VIN; 1 is likely meant'],
    ["1xpwd4ox1ed215307", '"O" at position 7 is not allowed in a VIN; 0 is likely meant'],
    ["1XPWD40X1ED21530７", "U+FF17 at position 17 is not an ASCII character; 7 is likely meant"],
    ["1XPWD40X1ED21530ſ", "U+017F at position 17 is not an ASCII character; S is likely meant"],
    ["1XPWD40X1ED21530\u0000", "U+0000 at position 17 is not a letter A-Z or a digit 0-9"],
    ["🚚XPWD40X1ED215307", "U+1F69A at position 1 is not a letter A-Z or a digit 0-9"],
    ["I1", 'a VIN has 17 characters, this has 2; "I" at position 1 is not allowed in a VIN; 1 is likely meant'],
  ])("says what is wrong with %j", (text, description) => {
    const parse = (): unknown => parseVin(text, "vins[3]");

    expect(parse).toThrow(InvalidFieldError);
    expect(parse).toThrow(expect.objectContaining({ field: "vins[3]", description }));
  });
});
