import { describe, expect, test } from "vitest";
import { KeyCollector, KeyMatcher, sortingForm } from "../../src/snapshot/pattern-keys.ts";

/** Its key is `1A2C5|EA000001`. */
const VIN = "1AB1A2C5XEA000001";

function matches(keys: string): boolean {
  const collector = new KeyCollector();
  const place = collector.placeOf(keys);
  const matcher = new KeyMatcher(collector.collected());
  matcher.setVin(VIN);
  return place !== undefined && matcher.matches(place);
}

describe("a key", () => {
  test.each([
    "",
    "1A2C5|EA000001",
    "1A",
    "1a",
    "*A",
    "**[0-3]",
    "**[A2]",
    "[1-A]",
    "*****|E",
    "*****|*A",
    "******E",
    "*[A-C][1-3]**|[D-F]",
  ])("%s matches from the start", (keys) => {
    expect(matches(keys)).toBe(true);
  });

  test.each([
    "2A",
    "A",
    "**[3-9]",
    "[2-A]",
    "[]",
    "[1",
    "*****E",
    "*****X",
    "1A2C5|EA000002",
    "1A2C5|EA000001*",
    "1|",
    "-",
    "[-_]",
  ])("%s does not match", (keys) => {
    expect(matches(keys)).toBe(false);
  });

  test("is tested again for each VIN", () => {
    const collector = new KeyCollector();
    const place = collector.placeOf("1A");
    const matcher = new KeyMatcher(collector.collected());
    matcher.setVin("1AB2A2C5XEA000001");
    const before = matcher.matches(place ?? 0);
    matcher.setVin(VIN);

    const after = matcher.matches(place ?? 0);

    expect([before, after]).toEqual([false, true]);
  });

  test("is collected once", () => {
    const collector = new KeyCollector();

    const places = ["1A", "*B", "1A"].map((keys) => collector.placeOf(keys));

    expect(places).toEqual([0, 1, 0]);
    expect(collector.collected().rank).toHaveLength(2);
  });
});

describe("NHTSA's database sorts", () => {
  test.each([
    ["B", "AAA", "the shortest before the alphabetically first"],
    ["***A", "AA", "the shortest without stars"],
    ["[1]", "A|A", "by length with brackets, but alphabetically without them"],
    ["***FG", "*F8", "stars before letters"],
    ["**BC", "*AB", "stars before letters"],
    ["A**C", "AAC", "stars before letters"],
    ["*A|", "A*|", "stars before letters"],
    ["A|", "A1", "the bar before digits"],
    ["A*", "A|", "stars before the bar"],
  ])("%s before %s: %s", (first, second) => {
    const sorted = [second, first].toSorted((a, b) => (sortingForm(a) < sortingForm(b) ? -1 : 1));

    expect(sorted).toEqual([first, second]);
  });

  test("keys of the same length that differ only in brackets as equal", () => {
    const collector = new KeyCollector();
    collector.placeOf("[A]B");
    collector.placeOf("A[B]");

    const { rank } = collector.collected();

    expect(rank[0]).toBe(rank[1]);
  });
});
