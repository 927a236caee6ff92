import type { Item } from "./item.ts";
import { ELEMENT } from "./nhtsa-tables.ts";
import type { FormulaPattern, MatchingPattern, VpicData, Wmi } from "./vpic-data.ts";
import { byPriorityAndAge } from "./winners.ts";

const ENGINE_MODEL_PRIORITY = 50;
const FORMULA_PRIORITY = 100;
const DIGITS = /\d/g;

/** Every value that the patterns offer for a key (see patternKeyOf): plain patterns, the engine's own, formulas. */
export function collectCandidates(data: VpicData, wmi: Wmi, year: number | undefined, key: string): Item[] {
  const candidates = data.matchingPatterns(wmi.id, year, key).map(toItem);
  const formulas = data.formulaPatterns(wmi.id, year).filter((pattern) => matchesFormula(pattern.keys, key));
  return [
    ...candidates,
    ...engineCandidates(data, candidates),
    ...formulas.map((pattern) => readFormula(pattern, key)),
  ];
}

function toItem(pattern: MatchingPattern): Item {
  return {
    elementId: pattern.elementId,
    attributeId: pattern.attributeId,
    isFromPattern: true,
    isCountedPattern: true,
    priority: pattern.yearFrom,
    changedOn: pattern.changedOn,
    keys: pattern.glob.slice(0, -1).replaceAll("?", "*"),
  };
}

/** What the engine's model name, where a pattern gives one, says of cylinders, displacement and so on. */
function engineCandidates(data: VpicData, candidates: readonly Item[]): Item[] {
  const engine = candidates
    .filter((item) => item.elementId === ELEMENT.engineModel)
    .toReversed()
    .toSorted(byPriorityAndAge)[0];
  if (engine === undefined) {
    return [];
  }
  return data.engineModelPatterns(engine.attributeId).map((row) => ({
    elementId: row.elementId,
    attributeId: row.attributeId,
    isFromPattern: true,
    isCountedPattern: true,
    priority: ENGINE_MODEL_PRIORITY,
    changedOn: row.changedOn,
    keys: engine.keys,
  }));
}

function matchesFormula(keys: string, key: string): boolean {
  const masked = key.replaceAll(DIGITS, "#");
  return Array.from(keys).every((character, index) => character === "*" || character === masked[index]);
}

function readFormula(pattern: FormulaPattern, key: string): Item {
  return {
    elementId: pattern.elementId,
    attributeId: pattern.attributeId,
    value: key.slice(pattern.keys.indexOf("#"), pattern.keys.lastIndexOf("#") + 1),
    isFromPattern: true,
    isCountedPattern: true,
    priority: FORMULA_PRIORITY,
    changedOn: pattern.changedOn,
    keys: pattern.keys,
  };
}
