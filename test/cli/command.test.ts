import { expect, test } from "vitest";
import { parseArguments } from "../../src/cli/command.ts";
import { suggest } from "../../src/table/suggest.ts";

const OPTIONS = { column: { type: "string" }, columns: { type: "string" }, full: { type: "boolean" } } as const;

test.each([
  [["--colum", "x"], "unknown option --colum; did you mean --column?"],
  [["--flul"], "unknown option --flul; did you mean --full?"],
  [["--qqqq"], "unknown option --qqqq"],
  [["-x"], "unknown option -x"],
  [["--column"], "Option '--column <value>' argument missing"],
])("%j is refused: %s", (args, message) => {
  expect(() => parseArguments(args, OPTIONS)).toThrow(message);
});

test("a word that is not similar to a known one gets no suggestion", () => {
  expect([suggest("export", ["token"]), suggest("VIN", ["vin"])]).toEqual(["", "; did you mean vin?"]);
});
