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

/** A decimal number as vPIC's database keeps it: trailing zeros count. */
interface Decimal {
  readonly units: bigint;
  /** Digits after the point. */
  readonly scale: number;
  /** Digits in all, leading zeros aside. */
  readonly precision: number;
}

const FORMULA = /^\s*#x#\s*([*/])\s*([\d.]+)\s*$/;
/** What NHTSA puts where a formula cannot be computed, say because the known value is "TBD". */
const NOT_COMPUTABLE = "0";
const NUMBER = /^(-?)(\d*)\.?(\d*)$/;
const MIN_QUOTIENT_SCALE = 6;

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

/**
 * Multiplies or divides as SQL Server does, in which vPIC's web service computes, so that the digits come out the same:
 * a product has the decimals of both factors, a quotient those of the dividend plus the digits of the divisor plus one,
 * at least six, the rest cut off.
 *
 * @returns undefined when an operand is no number or the divisor is zero.
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
