import { describe, expect, test } from "vitest";
import { checkVin } from "../../src/page/check-vin.ts";
import { findVins, likelyMeant, tidyVin } from "../../src/page/tidy-vin.ts";

const VIN = "1XPWD40X1ED215307";

describe("while someone types", () => {
  test("a part of a VIN is not a mistake", () => {
    expect(checkVin("1xpwd40x")).toEqual({ state: "partial", words: "8 of 17 characters" });
  });

  test("an impossible letter is named at once, with the character that was probably meant", () => {
    expect(checkVin("1XPWD4O")).toEqual({
      state: "wrong",
      words: '"O" at position 7 is not allowed in a VIN; 0 is likely meant.',
      meant: undefined,
    });
  });

  test("the VIN that was probably meant is offered when it is complete", () => {
    expect(checkVin("1XPWD4OX1ED2153O7")).toMatchObject({ state: "wrong", meant: VIN });
  });

  test("too many characters are counted", () => {
    expect(checkVin(`${VIN}9`)).toMatchObject({ state: "wrong", words: "A VIN has 17 characters, this has 18." });
  });

  test("a complete VIN with its check digit is right", () => {
    expect(checkVin(` ${VIN.toLowerCase()}\n`)).toMatchObject({ state: "good", vin: VIN, tone: "right" });
  });

  test("a wrong check digit is doubtful where VINs have one", () => {
    expect(checkVin("1XPWD40X2ED215307")).toMatchObject({
      state: "good",
      tone: "doubtful",
      words: "Position 9 is 2, but the check digit would be 1: one character is probably wrong.",
    });
  });

  test("elsewhere, a wrong check digit is often not a mistake", () => {
    expect(checkVin("WVWKG61J54D132375")).toMatchObject({
      state: "good",
      tone: "open",
      words: expect.stringMatching(/often not a mistake\.$/),
    });
  });

  test("an empty field has no message", () => {
    expect(checkVin(" \u200b")).toEqual({ state: "empty" });
  });
});

describe("a text that is pasted", () => {
  test.each([
    "1XPW-D40X-1ED2-15307",
    "1XPWD40X1 ED215307",
    "\uFEFF'1xpwd40x1ed215307",
    "1XPWD40X1–ED215307",
    `“${VIN}”`,
  ])("%j is tidied", (text) => {
    expect(tidyVin(text)).toBe(VIN);
  });

  test.each([`VIN: ${VIN}, blue`, `I${VIN}`, "１XPWD40X1ED215307"])("%j contains the VIN that was meant", (text) => {
    expect(likelyMeant(text)).toBe(VIN);
  });

  test("none of several VINs is preferred", () => {
    expect(likelyMeant(`${VIN} 1FAHP2J82EG109854`)).toBeUndefined();
  });

  test("VINs are found as words, but plain words of 17 letters are not VINs", () => {
    expect(findVins(`${VIN};1fahp2j82eg109854\nABCDEFGHJKLMNPRST 91XPWD40X1ED215307`)).toEqual([
      VIN,
      "1FAHP2J82EG109854",
    ]);
  });
});
