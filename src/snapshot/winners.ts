import { ELEMENTS_WITH_MANY_VALUES } from "./nhtsa-tables.ts";

/** A value of a variable found while decoding, or a candidate for it. */
export interface Item {
  readonly elementId: number;
  /** The value in the data: a text, a number, or the id of a row in the variable's look-up table. */
  readonly attributeId: string;
  /** The value as vPIC prints it. */
  readonly value: string;
  /** Whether it comes from the VIN's own patterns. Items from the WMI or the year say nothing about this vehicle. */
  readonly isPattern: boolean;
  /** The highest wins. */
  readonly priority: number;
  /** When the data was last changed, in seconds since the epoch; the newest wins. */
  readonly changedOn: number;
  /** The rank of the pattern's keys in NHTSA's order; the lowest wins. */
  readonly keyRank: number;
  /**
   * The positions that the keys restrict, as bits: bit i stands for position i of the key, so bit 0 is the fourth
   * character of a VIN.
   */
  readonly positions: number;
  /** The pattern's id; the lowest wins. */
  readonly id: number;
}

/** An item that comes from the WMI, the year or a default, not from a pattern. It loses against every other item. */
export function givenItem(elementId: number, attributeId: string, value: string): Item {
  return {
    elementId,
    attributeId,
    value,
    isPattern: false,
    priority: 0,
    changedOn: 0,
    keyRank: 0,
    positions: 0,
    id: 0,
  };
}

/**
 * Picks one winner among the candidates for each variable: by the highest priority, the newest change, the first keys,
 * the lowest id, then the position in the list. All notes are kept, by id.
 */
export function pickWinners(candidates: readonly Item[]): Item[] {
  const winners = new Map<number, Item>();
  const notes: Item[] = [];
  for (const item of candidates) {
    if (ELEMENTS_WITH_MANY_VALUES.has(item.elementId)) {
      notes.push(item);
      continue;
    }
    const best = winners.get(item.elementId);
    if (best === undefined || beats(item, best)) {
      winners.set(item.elementId, item);
    }
  }
  notes.sort((a, b) => a.id - b.id);
  return [...notes, ...winners.values()];
}

/** Orders items by the first two criteria of {@link pickWinners}: priority and age. */
export function byPriorityAndAge(a: Item, b: Item): number {
  return b.priority - a.priority || b.changedOn - a.changedOn;
}

function beats(challenger: Item, holder: Item): boolean {
  const order =
    byPriorityAndAge(challenger, holder) || challenger.keyRank - holder.keyRank || challenger.id - holder.id;
  return order < 0;
}
