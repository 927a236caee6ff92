import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidFieldError } from "../../src/vehicle/errors.ts";
import { parseVin } from "../../src/vehicle/vin.ts";

const VIN = "1XPWD40X1ED215307";
const TOO_SHORT = "partial VINs are not decoded, and shorter numbers from before 1981 are not in any database";

function descriptionOf(text: string): string {
  try {
    return `no fault: ${parseVin(text)}`;
  } catch (error) {
    return error instanceof InvalidFieldError ? error.description : `not a domain error: ${String(error)}`;
  }
}

describe("parseVin", () => {
  test.each([
    ["blanks", " 1XPWD40X1ED215307\t\r\n"],
    ["lower case", "1xpwd40x1ed215307"],
    ["a byte-order mark", "\uFEFF1XPWD40X1ED215307"],
    ["white space of Unicode", "\u00A0\u3000\u20071XPWD40X1ED215307\u2028\u0085\u000B"],
    ["blanks around a byte-order mark", " \uFEFF 1xpwd40x1ed215307 \uFEFF"],
  ])("accepts a VIN with %s", (_, text) => {
    expect(parseVin(text)).toBe(VIN);
  });

  test("does not judge the check digit, which is free outside North America", () => {
    expect(parseVin("1XPWD40X9ED215307")).toBe("1XPWD40X9ED215307");
  });

  test.each([
    ["nothing", "", "a VIN is required: 17 letters and digits, such as 1XPWD40X1ED215307"],
    ["blanks", " \uFEFF ", "a VIN is required: 17 letters and digits, such as 1XPWD40X1ED215307"],
    ["16 characters", "1XPWD40X1ED21530", `a VIN has 17 characters, this has 16: ${TOO_SHORT}`],
    ["a number from before 1981", "124379N664466", `a VIN has 17 characters, this has 13: ${TOO_SHORT}`],
    ["18 characters", "1XPWD40X1ED2153077", "a VIN has 17 characters, this has 18"],
    [
      "a partial VIN",
      "5UXWX7C5*BA*",
      `a VIN has 17 characters, this has 12: ${TOO_SHORT}; ` +
        '"*" at positions 9 and 12 stands for unknown characters, but partial VINs are not decoded',
    ],
    [
      "a partial VIN of 17 characters",
      "1XPWD40X*ED215307",
      '"*" at position 9 stands for unknown characters, but partial VINs are not decoded',
    ],
    ["a sign", "1XPWD40X1ED21530!", '"!" at position 17 is not a letter A-Z or a digit 0-9'],
    ["a blank inside", "1XPWD40X ED215307", "a blank at position 9 is not a letter A-Z or a digit 0-9"],
    ["an I", "1XPWD40XIED215307", '"I" at position 9 is not allowed in a VIN; 1 is likely meant'],
    ["an O in lower case", "1xpwd4ox1ed215307", '"O" at position 7 is not allowed in a VIN; 0 is likely meant'],
    [
      "several wrong characters",
      "IXPWDQ0XIED2I53O-",
      '"I" at positions 1, 9 and 13 is not allowed in a VIN; 1 is likely meant; ' +
        '"Q" at position 6 is not allowed in a VIN; 0 is likely meant; ' +
        '"O" at position 16 is not allowed in a VIN; 0 is likely meant; ' +
        '"-" at position 17 is not a letter A-Z or a digit 0-9',
    ],
    ["full width", "1XPWD40X1ED21530７", "U+FF17 at position 17 is not an ASCII character; 7 is likely meant"],
    ["a long s", "1xpwd40x1ed21530ſ", "U+017F at position 17 is not an ASCII character; S is likely meant"],
    ["NUL", "1XPWD40X1ED21530\u0000", "U+0000 at position 17 is not a letter A-Z or a digit 0-9"],
    ["an emoji", "🚚XPWD40X1ED215307", "U+1F69A at position 1 is not a letter A-Z or a digit 0-9"],
    ["half an emoji", "\uD83DXPWD40X1ED215307", "U+D83D at position 1 is not a letter A-Z or a digit 0-9"],
    [
      "a bar code's import mark",
      "I1N6AA0ED4AN318993",
      'the "I" at position 1 is the import mark of a bar code and not part of the VIN; drop it: 1N6AA0ED4AN318993',
    ],
    ["a label", "VIN: 1XPWD40X1ED215307", '"VIN:" does not belong to the VIN; send the VIN alone: 1XPWD40X1ED215307'],
    [
      "an attached label",
      "vin1xpwd40x1ed215307",
      '"VIN" does not belong to the VIN; send the VIN alone: 1XPWD40X1ED215307',
    ],
    [
      "text on both sides",
      "*1XPWD40X1ED215307 (truck)",
      '"*" and "(TRUCK)" do not belong to the VIN; send the VIN alone: 1XPWD40X1ED215307',
    ],
  ])("says what is wrong with %s", (_, text, description) => {
    expect(descriptionOf(text)).toBe(description);
  });

  test("prefers neither of two VINs in one text", () => {
    const description = descriptionOf("1XPWD40X1ED215307 1XKWDB0X57J211825");

    expect(description).toBe(
      "a VIN has 17 characters, this has 35; a blank at position 18 is not a letter A-Z or a digit 0-9",
    );
  });

  test("names the first 17 wrong characters of a longer text, and counts the others", () => {
    const description = descriptionOf("!".repeat(50));

    expect(description).toMatch(/^a VIN has 17 characters, this has 50; "!" at positions 1, 2, .* 16 and 17 is not/);
    expect(description).toMatch(/; 33 more characters are wrong$/);
    expect(descriptionOf("!".repeat(18))).toMatch(/; 1 more character is wrong$/);
  });

  test("names the field of the request", () => {
    const parse = (): unknown => parseVin("nonsense", "vins[3]");

    expect(parse).toThrow(expect.objectContaining({ name: "InvalidFieldError", field: "vins[3]" }));
  });

  test("reports only the length of a text as large as a request", () => {
    const description = descriptionOf(`1${" ".repeat(262_144)}1`);

    expect(description).toBe("a VIN has 17 characters, this has 262146");
  });
});

describe("parseVin, for any input,", () => {
  const vinCharacter = fc.constantFrom(...Array.from("0123456789ABCDEFGHJKLMNPRSTUVWXYZ"));
  const nearCharacter = fc.oneof(
    { weight: 9, arbitrary: vinCharacter },
    fc.constantFrom(...Array.from("ioqIOQaz*-_ \t\u00A0\uFEFFſＡ７🚚İ\uD83D\u0000")),
  );
  const nearVin = fc.array(nearCharacter, { minLength: 15, maxLength: 19 }).map((characters) => characters.join(""));
  const anyText = fc.oneof(nearVin, fc.string({ unit: "binary", maxLength: 50 }), fc.string({ maxLength: 50 }));

  test("returns a well-formed VIN or throws the domain's error", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const description = descriptionOf(text);

        expect(description).not.toMatch(/^not a domain error/);
        expect(description.startsWith("no fault: ")).toBe(
          /^[A-HJ-NPR-Za-hj-npr-z0-9]{17}$/.test(text.replaceAll(/^[\s\u0085]+|[\s\u0085]+$/g, "")),
        );
      }),
    );
  });

  test("returns its own results unchanged", () => {
    fc.assert(
      fc.property(fc.string({ unit: vinCharacter, minLength: 17, maxLength: 17 }), (vin) => {
        const spelled = ` ${vin.toLowerCase()}\uFEFF`;

        expect(parseVin(parseVin(spelled))).toBe(vin);
      }),
    );
  });

  test("names every wrong character of 17 at its position, and no other", () => {
    const wrongCharacter = fc.constantFrom(...Array.from("IOQ!-ſ７🚚\u0000É"));
    const characters = fc.array(fc.oneof({ weight: 4, arbitrary: vinCharacter }, wrongCharacter), {
      minLength: 17,
      maxLength: 17,
    });
    fc.assert(
      fc.property(characters, (characters) => {
        const isRight = (character: string): boolean => /^[A-HJ-NPR-Z0-9]$/.test(character);
        const wrong = characters.flatMap((character, index) => (isRight(character) ? [] : [index + 1]));
        fc.pre(wrong.length > 0 && isRight(characters[0] ?? "") && isRight(characters[16] ?? ""));

        const named = descriptionOf(characters.join(""))
          .matchAll(/at positions? ([\d, and]+)/g)
          .flatMap(([, list = ""]) => list.match(/\d+/g) ?? []);

        expect([...named].map(Number).toSorted((a, b) => a - b)).toEqual(wrong);
      }),
    );
  });
});
