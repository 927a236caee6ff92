const LIST = /^\d{1,4}(?:\s*,\s*\d{1,4})*$/;
const NUMBERED_TEXT = /(?:^|[;,>|])\s*(\d{1,4})\s*-\s/g;

/**
 * Reads vPIC's `ErrorCode`: `"0"`, `"5,14"`, and the form used until 2019, which held the texts too:
 * `"1 - Check Digit (9th position) does not calculate properly; 5 - VIN has errors in few positions"`.
 *
 * @returns the codes ascending, each once; none when it holds no number that can be a code.
 */
export function readErrorCodes(errorCode: string): readonly number[] {
  const numbers = LIST.test(errorCode)
    ? errorCode.split(",")
    : Array.from(errorCode.matchAll(NUMBERED_TEXT), ([, number]) => number ?? "");
  const codes = new Set(numbers.map(Number));
  return Array.from(codes).toSorted((a, b) => a - b);
}
