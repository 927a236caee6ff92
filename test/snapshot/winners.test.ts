import { describe, expect, test } from "vitest";
import type { Item } from "../../src/snapshot/item.ts";
import { pickWinners } from "../../src/snapshot/winners.ts";

const NOTE = 114;
const DOORS = 14;

function candidate(attributeId: string, changes: Partial<Item> = {}): Item {
  return {
    elementId: DOORS,
    attributeId,
    isFromPattern: true,
    isCountedPattern: true,
    priority: 2010,
    changedOn: "2020-01-01 10:00:00",
    keys: "AB",
    ...changes,
  };
}

function winnerOf(...candidates: Item[]): string[] {
  return pickWinners(candidates).map((item) => item.attributeId);
}

describe("pickWinners", () => {
  test("prefers the highest priority to the newest", () => {
    const winners = winnerOf(
      candidate("newer", { changedOn: "2024-01-01 10:00:00" }),
      candidate("higher", { priority: 2011 }),
    );

    expect(winners).toEqual(["higher"]);
  });

  test("prefers the newest to the shortest", () => {
    const winners = winnerOf(
      candidate("shorter", { keys: "***A" }),
      candidate("newer", { changedOn: "2020-01-01 10:00:00.083000" }),
    );

    expect(winners).toEqual(["newer"]);
  });

  test("prefers the shortest pattern to the alphabetically first", () => {
    const winners = winnerOf(candidate("first", { keys: "AAA" }), candidate("shorter", { keys: "B" }));

    expect(winners).toEqual(["shorter"]);
  });

  test("prefers the alphabetically first pattern, brackets aside", () => {
    const winners = winnerOf(
      candidate("set", { keys: "[1]" }),
      candidate("bar", { keys: "A|A" }),
      candidate("letter", { keys: "AAA" }),
    );

    expect(winners).toEqual(["set"]);
  });

  test.each([
    ["***FG", "*F8"],
    ["**BC", "*AB"],
    ["A**C", "AAC"],
    ["*A|", "A*|"],
  ])("of equal length prefers %s to %s, for the star sorts first", (first, second) => {
    const winners = winnerOf(candidate(second, { keys: second }), candidate(first, { keys: first }));

    expect(winners).toEqual([first]);
  });

  test("sorts the bar before digits", () => {
    const winners = winnerOf(candidate("digit", { keys: "A1" }), candidate("bar", { keys: "A|" }));

    expect(winners).toEqual(["bar"]);
  });

  test("leaves the first of equals", () => {
    const winners = winnerOf(candidate("first"), candidate("second"));

    expect(winners).toEqual(["first"]);
  });

  test("keeps every note", () => {
    const winners = winnerOf(candidate("one", { elementId: NOTE }), candidate("two", { elementId: NOTE }));

    expect(winners).toEqual(["one", "two"]);
  });
});
