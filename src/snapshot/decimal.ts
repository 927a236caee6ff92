/** A decimal number as vPIC's database keeps it: trailing zeros count. */
interface Decimal {
  readonly units: bigint;
  /** Digits after the point. */
  readonly scale: number;
  /** Digits in all, leading zeros aside. */
  readonly precision: number;
}

const NUMBER = /^(-?)(\d*)\.?(\d*)$/;
const MIN_QUOTIENT_SCALE = 6;

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
