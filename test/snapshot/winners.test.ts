import { describe, expect, test } from "vitest";
import { pickWinners, type Item } from "../../src/snapshot/winners.ts";

const NOTE = 114;
const DOORS = 14;

function candidate(attributeId: string, changes: Partial<Item> = {}): Item {
  return {
    elementId: DOORS,
    attributeId,
    value: attributeId,
    isPattern: true,
    priority: 2010,
    changedOn: 1_600_000_000,
    keyRank: 5,
    positions: 0,
    id: 5,
    ...changes,
  };
}

function winnerOf(...candidates: Item[]): string[] {
  return pickWinners(candidates).map((item) => item.attributeId);
}

describe("pickWinners", () => {
  test("prefers the highest priority to the newest", () => {
    const winners = winnerOf(candidate("newer", { changedOn: 1_700_000_000 }), candidate("higher", { priority: 2011 }));

    expect(winners).toEqual(["higher"]);
  });

  test("prefers the newest, to the millisecond, to the first by its keys", () => {
    const winners = winnerOf(candidate("first", { keyRank: 1 }), candidate("newer", { changedOn: 1_600_000_000.083 }));

    expect(winners).toEqual(["newer"]);
  });

  test("prefers the first by its keys to the lowest id", () => {
    const winners = winnerOf(candidate("lowest", { id: 1 }), candidate("first", { keyRank: 1 }));

    expect(winners).toEqual(["first"]);
  });

  test("prefers the lowest id to the first of the list", () => {
    const winners = winnerOf(candidate("first"), candidate("lowest", { id: 1 }));

    expect(winners).toEqual(["lowest"]);
  });

  test("keeps the first of equal candidates", () => {
    const winners = winnerOf(candidate("first"), candidate("second"));

    expect(winners).toEqual(["first"]);
  });

  test("keeps every note, by id", () => {
    const winners = winnerOf(
      candidate("two", { elementId: NOTE, id: 2, priority: 2020 }),
      candidate("one", { elementId: NOTE, id: 1 }),
    );

    expect(winners).toEqual(["one", "two"]);
  });
});
