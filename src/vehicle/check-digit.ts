const CHECK_DIGIT_INDEX = 8;
const MODULUS = 11;
/** By position; the check digit itself has no weight. */
const WEIGHTS = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2] as const;
/** The values of the letters A to Z; I, O and Q have none, because no VIN contains them. */
const LETTER_VALUES = [1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 0, 7, 0, 9, 2, 3, 4, 5, 6, 7, 8, 9] as const;
const CODE_OF_0 = 48;
const CODE_OF_9 = 57;
const CODE_OF_A = 65;

/**
 * The check digit that the other 16 characters require (49 CFR 565.15(c)): `0` to `9` or `X`.
 *
 * @param vin 17 upper-case letters and digits; position 9 is ignored.
 */
export function checkDigit(vin: string): string {
  let sum = 0;
  for (const [index, weight] of WEIGHTS.entries()) {
    sum += weight * valueOf(vin.charCodeAt(index));
  }
  const remainder = sum % MODULUS;
  return remainder === 10 ? "X" : String(remainder);
}

/** Whether position 9 is the check digit. Outside North America that position is free, so false proves nothing there. */
export function hasValidCheckDigit(vin: string): boolean {
  return vin.charAt(CHECK_DIGIT_INDEX) === checkDigit(vin);
}

function valueOf(code: number): number {
  return code >= CODE_OF_0 && code <= CODE_OF_9 ? code - CODE_OF_0 : (LETTER_VALUES[code - CODE_OF_A] ?? 0);
}
