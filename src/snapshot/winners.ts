import type { Item } from "./item.ts";
import { ELEMENTS_WITH_MANY_VALUES } from "./nhtsa-tables.ts";

/**
 * Leaves of several candidates for one variable the one that wins: the highest priority, then the newest, then the
 * shortest pattern, then the alphabetically first, then the first of the list. Of notes all are kept.
 */
export function pickWinners(candidates: readonly Item[]): Item[] {
  const winners = new Map<number, Item>();
  const kept: Item[] = [];
  for (const item of candidates) {
    if (ELEMENTS_WITH_MANY_VALUES.has(item.elementId)) {
      kept.push(item);
      continue;
    }
    const best = winners.get(item.elementId);
    if (best === undefined || beats(item, best)) {
      winners.set(item.elementId, item);
    }
  }
  kept.push(...winners.values());
  return kept;
}

/** Orders items as {@link pickWinners} prefers them, as far as priority and age go. */
export function byPriorityAndAge(a: Item, b: Item): number {
  return b.priority - a.priority || compareTexts(b.changedOn, a.changedOn);
}

function beats(challenger: Item, holder: Item): boolean {
  const order =
    byPriorityAndAge(challenger, holder) ||
    literalLength(challenger.keys) - literalLength(holder.keys) ||
    compareTexts(sortingForm(challenger.keys), sortingForm(holder.keys));
  return order < 0;
}

function literalLength(keys: string): number {
  return keys.replaceAll("*", "").length;
}

/** NHTSA's database sorts the star, then the bar, before digits and letters; brackets are not compared. */
function sortingForm(keys: string): string {
  return keys.replaceAll(/[[\]]/g, "").replaceAll("|", "+");
}

function compareTexts(a: string, b: string): number {
  if (a === b) {
    return 0;
  }
  return a < b ? -1 : 1;
}
