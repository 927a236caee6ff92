import { ELEMENT } from "./nhtsa-tables.ts";
import { byPriorityAndAge, type Item } from "./winners.ts";

/** A row of vPIC's table Conversion: a formula that computes one variable from another. */
export interface Conversion {
  readonly id: number;
  readonly fromElementId: number;
  readonly toElementId: number;
  /** Such as `#x# / 16.387064`, where `#x#` is the known value. */
  readonly formula: string;
}

/** A variable that is computed from a known one. */
export interface Converted {
  readonly elementId: number;
  /** Whether the value is certain to equal NHTSA's own. */
  readonly isExact: boolean;
  readonly from: Item;
  readonly formula: string;
}

/** A decimal number as in vPIC's database: trailing zeros count. */
interface Decimal {
  readonly units: bigint;
  /** Digits after the point. */
  readonly scale: number;
  /** The number of digits without leading zeros. */
  readonly precision: number;
}

const FORMULA = /^\s*#x#\s*([*/])\s*([\d.]+)\s*$/;
/** NHTSA's value when a formula cannot be computed, for example because the known value is "TBD". */
const NOT_COMPUTABLE = "0";
const NUMBER = /^(-?)(\d*)\.?(\d*)$/;
const MIN_QUOTIENT_SCALE = 6;

/** The unknown variables that formulas can compute from the known ones. Conversions are not chained. */
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

/** Computes the value of a conversion. */
export function evaluate({ from, formula }: Converted): string {
  const [, operator, constant] = FORMULA.exec(formula) ?? [];
  if (constant === undefined || (operator !== "*" && operator !== "/")) {
    return NOT_COMPUTABLE;
  }
  return calculate(from.attributeId, operator, constant) ?? NOT_COMPUTABLE;
}

/**
 * Litres are rounded to a tenth, and the maker may have stated cubic inches that the embedded data lacks. Only exact
 * cubic centimetres are certain to be the value from which NHTSA converts.
 */
function isExact(item: Item): boolean {
  return item.elementId === ELEMENT.displacementCc && !item.attributeId.trim().endsWith("0");
}

/**
 * Multiplies or divides like SQL Server, which vPIC's web service uses, so that all digits match. A product has the
 * decimals of both factors. A quotient has the decimals of the dividend plus the digits of the divisor plus one, but at
 * least six; further decimals are cut off.
 *
 * @returns undefined when an operand is not a number or the divisor is zero.
 */
export function calculate(left: string, operator: "*" | "/", right: string): string | undefined {
  const a = parseDecimal(left);
  const b = parseDecimal(right);
  if (a === undefined || b === undefined) {
    return undefined;
  }
  if (operator === "*") {
    return print(a.units * b.units, a.scale + b.scale);
  }
  if (b.units === 0n) {
    return undefined;
  }
  const scale = Math.max(MIN_QUOTIENT_SCALE, a.scale + b.precision + 1);
  return print((a.units * 10n ** BigInt(scale + b.scale - a.scale)) / b.units, scale);
}

function parseDecimal(text: string): Decimal | undefined {
  const [, sign = "", whole = "", fraction = ""] = NUMBER.exec(text.trim()) ?? [];
  const digits = whole + fraction;
  if (digits === "") {
    return undefined;
  }
  const units = BigInt(digits);
  return {
    units: sign === "-" ? -units : units,
    scale: fraction.length,
    precision: Math.max(whole.replace(/^0+/, "").length + fraction.length, 1),
  };
}

function print(units: bigint, scale: number): string {
  const isNegative = units < 0n;
  const digits = String(isNegative ? -units : units).padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  return (isNegative ? "-" : "") + (scale === 0 ? whole : `${whole}.${digits.slice(-scale)}`);
}
