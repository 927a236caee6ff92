import { checkDigit } from "../vehicle/check-digit.ts";

const SMALL_MAKER_MARK = "9";
const VIN_LENGTH = 17;
const CHECK_DIGIT_INDEX = 8;
const YEAR_INDEX = 9;
const ALLOWED_AS_CHECK_DIGIT = "0123456789X";
const ALLOWED_AS_YEAR = "123456789ABCDEFGHJKLMNPRSTVWXY";
const ALLOWED_BEFORE_SERIAL = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ";
const DIGITS = "0123456789";

/** The world manufacturer identifier: 3 characters, 6 for a small maker. */
export function wmiOf(vin: string): string {
  return isSmallMaker(vin) ? vin.slice(0, 3) + vin.slice(11, 14) : vin.slice(0, 3);
}

/**
 * The descriptor that identical vehicles share: the first 11 characters (14 for a small maker) with `*` for the check
 * digit.
 */
export function descriptorOf(vin: string): string {
  return `${vin.slice(0, CHECK_DIGIT_INDEX)}*${vin.slice(YEAR_INDEX, isSmallMaker(vin) ? 14 : 11)}`;
}

/** Characters that the standard does not allow at their positions, such as `9:B, 14:A`; empty when there are none. */
export function invalidCharacters(vin: string, isLightVehicle: boolean, isCheckDigitFree: boolean): string {
  const serialStart = serialStartOf(vin, isLightVehicle);
  let invalid = "";
  for (let i = 0; i < VIN_LENGTH; i++) {
    const character = vin.charAt(i);
    if (!(i === CHECK_DIGIT_INDEX && isCheckDigitFree) && !allowedAt(i, serialStart).includes(character)) {
      invalid += `${invalid === "" ? "" : ", "}${i + 1}:${character}`;
    }
  }
  return invalid;
}

/** Whether the check digit is correct by NHTSA's rules. A VIN with an invalid character has no correct one. */
export function isCheckDigitRight(vin: string, isLightVehicle: boolean): boolean {
  return vin.charAt(CHECK_DIGIT_INDEX) === checkDigit(vin) && invalidCharacters(vin, isLightVehicle, true) === "";
}

function allowedAt(index: number, serialStart: number): string {
  if (index === CHECK_DIGIT_INDEX) {
    return ALLOWED_AS_CHECK_DIGIT;
  }
  if (index >= serialStart) {
    return DIGITS;
  }
  return index === YEAR_INDEX ? ALLOWED_AS_YEAR : ALLOWED_BEFORE_SERIAL;
}

/** The start of the serial number, which consists of digits. It is shorter for larger vehicles and small makers. */
function serialStartOf(vin: string, isLightVehicle: boolean): number {
  if (isSmallMaker(vin)) {
    return 14;
  }
  return isLightVehicle ? 12 : 13;
}

/** Whether position 3 marks a small maker, whose identifier includes positions 12 to 14. */
export function isSmallMaker(vin: string): boolean {
  return vin.charAt(2) === SMALL_MAKER_MARK;
}
