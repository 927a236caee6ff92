import { calculate } from "./decimal.ts";
import { ELEMENT } from "./nhtsa-tables.ts";
import { byPriorityAndAge, type Item } from "./winners.ts";

/** A row of vPIC's table Conversion: how one variable follows from another. */
export interface Conversion {
  readonly id: number;
  readonly fromElementId: number;
  readonly toElementId: number;
  /** Such as `#x# / 16.387064`, where `#x#` is the known value. */
  readonly formula: string;
}

/** A variable that follows from a known one. */
export interface Converted {
  readonly elementId: number;
  /** Whether the value is what NHTSA itself computes. */
  readonly isExact: boolean;
  readonly from: Item;
  readonly formula: string;
}

const FORMULA = /^\s*#x#\s*([*/])\s*([\d.]+)\s*$/;
/** What NHTSA puts where a formula cannot be computed, say because the known value is "TBD". */
const NOT_COMPUTABLE = "0";

/** The variables that follow from the known ones by formula and are not known yet. Conversions are not chained. */
export function convert(items: readonly Item[], conversions: readonly Conversion[]): Converted[] {
  const steps = conversions.flatMap((conversion) => {
    const from = items.find((item) => item.elementId === conversion.fromElementId);
    return from === undefined ? [] : { from, conversion };
  });
  if (steps.length === 0) {
    return [];
  }
  const known = new Set(items.map((item) => item.elementId));
  return steps
    .toSorted((a, b) => byPriorityAndAge(a.from, b.from) || a.conversion.id - b.conversion.id)
    .flatMap(({ from, conversion: { toElementId, formula } }) => {
      if (known.has(toElementId)) {
        return [];
      }
      known.add(toElementId);
      return { elementId: toElementId, isExact: isExact(from), from, formula };
    });
}

/** The value that a conversion yields. */
export function evaluate({ from, formula }: Converted): string {
  const [, operator, constant] = FORMULA.exec(formula) ?? [];
  if (constant === undefined || (operator !== "*" && operator !== "/")) {
    return NOT_COMPUTABLE;
  }
  return calculate(from.attributeId, operator, constant) ?? NOT_COMPUTABLE;
}

/**
 * Litres are rounded to a tenth, and the maker may have stated cubic inches that the embedded data lacks. Only cubic
 * centimetres to the last digit are certain to be what NHTSA itself converts from.
 */
function isExact(item: Item): boolean {
  return item.elementId === ELEMENT.displacementCc && !item.attributeId.trim().endsWith("0");
}
