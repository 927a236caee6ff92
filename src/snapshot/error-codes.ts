/** vPIC's error codes that the snapshot can tell. The others (2 to 6, 14) need data that it lacks. */
export type ErrorCode = 0 | 1 | 7 | 8 | 9 | 10 | 11 | 12 | 400;

interface Meaning {
  /** NHTSA's own words, which begin with the code. */
  readonly text: string;
  /** How much a code speaks against a decode when two years are tried; never positive. */
  readonly weight: number;
}

const MEANINGS: Readonly<Record<ErrorCode, Meaning>> = {
  0: { text: "0 - VIN decoded clean. Check Digit (9th position) is correct", weight: 0 },
  1: { text: "1 - Check Digit (9th position) does not calculate properly", weight: -5 },
  7: {
    text: "7 - Manufacturer is not registered with NHTSA for sale or importation in the U.S. for use on U.S roads; Please contact the manufacturer directly for more information",
    weight: -10_000,
  },
  8: { text: "8 - No detailed data available currently", weight: -1000 },
  9: {
    text: '9 - Glider Warning - A "Glider" is not a "motor vehicle", as defined in 49 U.S.C. 30102(a)(6), and cannot be assigned a VIN that meets 49 CFR Part 565 requirements',
    weight: 0,
  },
  10: {
    text: "10 - Off-Road Vehicle Warning – This is not a Vehicle Identification Number (VIN) for a motor vehicle. This indicates that the manufacturer did not certify this product as complying with the Federal Motor Vehicle Safety Standards that are applicable to motor vehicles as defined in 49 U.S.C. 30102.",
    weight: 0,
  },
  11: {
    text: "11 - Incorrect Model Year - Position 10 does not match valid model year codes (I, O, Q, U, Z, 0). Decoded data may not be accurate.",
    weight: -20,
  },
  12: {
    text: "12 - Model Year Warning - Model Year entered for decoding with VIN does not match the model year based on the 10th position in VIN.",
    weight: -20,
  },
  400: { text: "400 - Invalid Characters Present", weight: -40 },
};

const OFF_ROAD_NOTE =
  " NOTE: Disregard if this is an off-road vehicle PIN, as check digit calculation may not be accurate.";
const EXCEPTION_NOTE =
  " NOTE: Check Digit Exception - The check digit was given an exception based on data from the OEM indicating an error on production.";
const MAX_TEXT_LENGTH = 500;

/** What the codes weigh together: the higher, the better. */
export function weightOf(codes: readonly ErrorCode[]): number {
  return codes.reduce<number>((sum, code) => sum + MEANINGS[code].weight, 0);
}

/**
 * NHTSA's words for the codes, joined as vPIC joins them.
 *
 * @param isExcepted whether the check digit is wrong, but excepted.
 */
export function textOf(codes: readonly ErrorCode[], isExcepted: boolean): string {
  const isOffRoad = codes.includes(10);
  const noteOn = (code: ErrorCode): string => {
    if (code === 0) {
      return isExcepted ? EXCEPTION_NOTE : "";
    }
    return code === 1 && isOffRoad ? OFF_ROAD_NOTE : "";
  };
  return codes
    .map((code) => MEANINGS[code].text + noteOn(code))
    .join("; ")
    .slice(0, MAX_TEXT_LENGTH);
}
