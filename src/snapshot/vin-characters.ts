import { checkDigit } from "../vehicle/check-digit.ts";
import { isSmallMaker } from "./vin-parts.ts";

const CHECK_DIGIT_POSITION = 9;
const YEAR_POSITION = 10;
const ALLOWED_AS_CHECK_DIGIT = /[0-9X]/;
const ALLOWED_AS_YEAR = /[1-9A-HJ-NPRSTVWXY]/;
const ALLOWED_BEFORE_SERIAL = /[0-9A-HJ-NPR-Z]/;
const DIGIT = /[0-9]/;

/** Characters where the standard does not allow them, such as `9:B, 14:A`; empty when there are none. */
export function invalidCharacters(vin: string, isLightVehicle: boolean, isCheckDigitFree: boolean): string {
  const serialStart = serialStartOf(vin, isLightVehicle);
  return Array.from(vin)
    .map((character, index) => ({ character, position: index + 1 }))
    .filter(({ character, position }) => {
      if (position === CHECK_DIGIT_POSITION) {
        return !isCheckDigitFree && !ALLOWED_AS_CHECK_DIGIT.test(character);
      }
      const allowed = position >= serialStart ? DIGIT : ALLOWED_BEFORE_SERIAL;
      return !allowed.test(character) || (position === YEAR_POSITION && !ALLOWED_AS_YEAR.test(character));
    })
    .map(({ character, position }) => `${position}:${character}`)
    .join(", ");
}

/** Whether the check digit is right by NHTSA's rules: a VIN with a character out of place has no right one. */
export function isCheckDigitRight(vin: string, isLightVehicle: boolean): boolean {
  return (
    invalidCharacters(vin, isLightVehicle, true) === "" && vin.charAt(CHECK_DIGIT_POSITION - 1) === checkDigit(vin)
  );
}

/** The first position of the serial number, which has digits only; larger vehicles and small makers have fewer. */
function serialStartOf(vin: string, isLightVehicle: boolean): number {
  if (isSmallMaker(vin)) {
    return 15;
  }
  return isLightVehicle ? 13 : 14;
}
