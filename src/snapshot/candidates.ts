import { ELEMENT } from "./nhtsa-tables.ts";
import type { SnapshotData, Wmi } from "./snapshot-data.ts";
import { byPriorityAndAge, type Item } from "./winners.ts";

const DIGITS = /\d/g;

/** All candidate values for a VIN: from plain patterns, the engine model's patterns and formulas. */
export function collectCandidates(data: SnapshotData, wmi: Wmi, year: number | undefined, vin: string): Item[] {
  const candidates = data.matchingPatterns(wmi, year, vin);
  const engine = engineOf(candidates);
  if (engine !== undefined) {
    candidates.push(...data.engineModelPatterns(engine));
  }
  const formulas = data.formulaPatterns(wmi, year);
  if (formulas.length > 0) {
    const key = keyOf(vin);
    for (const pattern of formulas.filter(({ keys }) => matchesFormula(keys, key))) {
      const value = key.slice(pattern.keys.indexOf("#"), pattern.keys.lastIndexOf("#") + 1);
      candidates.push(data.toFormulaItem(pattern, value));
    }
  }
  return candidates;
}

/** The pattern that names the engine model. Of equal ones the highest id wins, unlike elsewhere. */
function engineOf(candidates: readonly Item[]): Item | undefined {
  let engine: Item | undefined;
  for (const item of candidates) {
    if (item.elementId === ELEMENT.engineModel) {
      const isBetter = engine === undefined || (byPriorityAndAge(item, engine) || engine.id - item.id) < 0;
      engine = isBetter ? item : engine;
    }
  }
  return engine;
}

/** The text that formulas match: positions 4 to 8, a bar, positions 10 to 17. */
function keyOf(vin: string): string {
  return `${vin.slice(3, 8)}|${vin.slice(9)}`;
}

function matchesFormula(keys: string, key: string): boolean {
  const masked = key.replaceAll(DIGITS, "#");
  return Array.from(keys).every((character, index) => character === "*" || character === masked[index]);
}
