import { expect, test } from "vitest";
import {
  ageInWords,
  bytesInWords,
  counted,
  dateInWords,
  secondsInWords,
  spanInWords,
  waitInWords,
} from "../../src/page/words.ts";

test.each([
  ["2026-02-17", "17 Feb 2026"],
  ["2026-10", "Oct 2026"],
  ["2026-13-01", "2026-13-01"],
  ["soon", "soon"],
])("the date %s is %s", (date, words) => {
  expect(dateInWords(date)).toBe(words);
});

test.each([
  [-5_000, "just now"],
  [9_999, "just now"],
  [10_000, "10 seconds ago"],
  [60_000, "1 minute ago"],
  [179_999, "2 minutes ago"],
  [3_600_000, "1 hour ago"],
  [40 * 86_400_000, "1 month ago"],
  [800 * 86_400_000, "2 years ago"],
])("an age of %i ms is %s", (ms, words) => {
  expect(ageInWords(ms)).toBe(words);
});

test("a wait is rounded up, so that a retry is never too early", () => {
  expect([waitInWords(1), waitInWords(1_001), spanInWords(1_001)]).toEqual(["1 second", "2 seconds", "1 second"]);
});

test.each([
  [999, "999 bytes"],
  [1_400, "1.4 KB"],
  [123_456, "123 KB"],
  [21_000_000, "21.0 MB"],
])("%i bytes are %s", (bytes, words) => {
  expect(bytesInWords(bytes)).toBe(words);
});

test.each([
  [0, "0 ms"],
  [0.0032, "3.2 ms"],
  [0.25, "250 ms"],
  [1.5, "1.5 s"],
  [30, "30 s"],
])("%f seconds are %s", (seconds, words) => {
  expect(secondsInWords(seconds)).toBe(words);
});

test("counts have separators and the right noun", () => {
  expect([counted(1, "row"), counted(20_000, "row"), counted(0, "entry", "entries")]).toEqual([
    "1 row",
    "20,000 rows",
    "0 entries",
  ]);
});
