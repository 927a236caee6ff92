import { ELEMENTS_WITH_MANY_VALUES } from "./nhtsa-tables.ts";

/** One value of one variable found while decoding, or a candidate for it. */
export interface Item {
  readonly elementId: number;
  /** The value as the data has it: a text, a number, or the id of a row in the variable's look-up table. */
  readonly attributeId: string;
  /** The value as vPIC prints it. */
  readonly value: string;
  /** Whether the VIN's own patterns gave it; items taken from the WMI or the year say nothing of this vehicle. */
  readonly isPattern: boolean;
  /** The higher wins. */
  readonly priority: number;
  /** When the data was last changed, in seconds since the epoch; the newer wins. */
  readonly changedOn: number;
  /** The place of the pattern's keys in NHTSA's order of keys; the lower wins. */
  readonly keyRank: number;
  /** The pattern's id; the lower wins. */
  readonly id: number;
}

/**
 * Reduces several candidates for one variable to the one that wins: the highest priority, then the newest, then the
 * first by its keys, then the lowest id, then the first of the list. All notes are kept, by id.
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

/** Orders items as {@link pickWinners} prefers them, as far as priority and age go. */
export function byPriorityAndAge(a: Item, b: Item): number {
  return b.priority - a.priority || b.changedOn - a.changedOn;
}

function beats(challenger: Item, holder: Item): boolean {
  const order =
    byPriorityAndAge(challenger, holder) || challenger.keyRank - holder.keyRank || challenger.id - holder.id;
  return order < 0;
}
