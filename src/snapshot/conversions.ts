import { calculate } from "./decimal.ts";
import type { Item } from "./item.ts";
import { ELEMENT } from "./nhtsa-tables.ts";
import { byPriorityAndAge } from "./winners.ts";

/** A row of vPIC's table Conversion: how one variable follows from another. */
export interface Conversion {
  readonly id: number;
  readonly fromElementId: number;
  readonly toElementId: number;
  /** Such as `#x# / 16.387064`, where `#x#` is the known value. */
  readonly formula: string;
}

const FORMULA = /^\s*#x#\s*([*/])\s*([\d.]+)\s*$/;
/** What NHTSA puts where a formula cannot be computed, say because the known value is "TBD". */
const NOT_COMPUTABLE = "0";

/** The variables that follow from the known ones by formula and are not known yet. Conversions are not chained. */
export function convert(items: readonly Item[], conversions: readonly Conversion[]): Item[] {
  const known = new Set(items.map((item) => item.elementId));
  const steps = items
    .flatMap((item) =>
      conversions.filter((step) => step.fromElementId === item.elementId).map((step) => ({ item, step })),
    )
    .toSorted((a, b) => byPriorityAndAge(a.item, b.item) || a.step.id - b.step.id);
  const converted: Item[] = [];
  for (const { item, step } of steps) {
    if (known.has(step.toElementId)) {
      continue;
    }
    known.add(step.toElementId);
    const value = evaluate(step.formula, item.attributeId);
    converted.push({
      ...item,
      elementId: step.toElementId,
      attributeId: value,
      value,
      isCountedPattern: false,
      isInexact: !isExact(item),
    });
  }
  return converted;
}

/**
 * Litres are rounded to a tenth, and a maker may have stated cubic inches that the embedded data lacks. Only cubic
 * centimetres to the last digit are what NHTSA itself converts from.
 */
function isExact(item: Item): boolean {
  return item.elementId === ELEMENT.displacementCc && !item.attributeId.trim().endsWith("0");
}

function evaluate(formula: string, x: string): string {
  const [, operator, constant] = FORMULA.exec(formula) ?? [];
  if (constant === undefined || (operator !== "*" && operator !== "/")) {
    return NOT_COMPUTABLE;
  }
  return calculate(x, operator, constant) ?? NOT_COMPUTABLE;
}
