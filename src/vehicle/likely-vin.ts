import { hasValidCheckDigit } from "./check-digit.ts";
import type { Decode, VehicleQuery, VehicleSource } from "./vehicle.ts";
import type { Vin } from "./vin.ts";
import { parseVin } from "./vin.ts";

const CODE_CLEAN = 0;
const CODE_WRONG_CHECK_DIGIT = 1;
const CODE_UNKNOWN_MANUFACTURER = 7;
const CHARACTERS = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ";
const WMI_LENGTH = 3;
const CHECK_DIGIT_INDEX = 8;
/** What stands here and later is the serial number, which says nothing of the vehicle. */
const SERIAL_INDEX = 11;
/**
 * North American VINs, but for those of small makers (a 9 at position 3): other regions have no check digit, and NHTSA
 * knows too few vehicles of small makers.
 */
const MUST_BE_RIGHT = /^[1-57].[^9]/;

/**
 * Adds our own guess at the VIN that was meant to a decode with a wrong check digit that found no model: the only VIN
 * that one other character, or one swap of neighbours, makes of it, and that decodes clean. It is never acted on.
 *
 * Where the model was found there is no guess: the mistake is most likely in the serial number or the check digit, and
 * many serial numbers fit.
 *
 * @param judge a quick source; when it cannot answer, there is no guess.
 */
export function withLikelyVin(source: VehicleSource, judge: VehicleSource): VehicleSource {
  return {
    name: source.name,
    async decode(query, signal) {
      const decode = await source.decode(query, signal);
      if (!isDoubtful(decode)) {
        return decode;
      }
      const likelyVin = await findLikelyVin(decode, query, judge, signal).catch(() => undefined);
      return likelyVin === undefined ? decode : { ...decode, likelyVin };
    },
  };
}

function isDoubtful({ vin, model, verdict }: Decode): boolean {
  return model === "" && verdict.codes.includes(CODE_WRONG_CHECK_DIGIT) && MUST_BE_RIGHT.test(vin);
}

async function findLikelyVin(
  { verdict }: Decode,
  query: VehicleQuery,
  judge: VehicleSource,
  signal: AbortSignal,
): Promise<Vin | undefined> {
  let found: Vin | undefined;
  for (const vin of correctionsOf(query.vin)) {
    if (isClean(await judge.decode({ ...query, vin }, signal))) {
      if (found !== undefined) {
        return undefined;
      }
      found = vin;
    }
  }
  // A manufacturer that NHTSA knows is seldom a mistake.
  const isSameMaker = found?.slice(0, WMI_LENGTH) === query.vin.slice(0, WMI_LENGTH);
  return isSameMaker || verdict.codes.includes(CODE_UNKNOWN_MANUFACTURER) ? found : undefined;
}

/** The VINs with a right check digit that differ in the part that says what the vehicle is. */
function correctionsOf(vin: Vin): Vin[] {
  const corrections = new Set<string>();
  for (let index = 0; index < SERIAL_INDEX; index++) {
    const [before, after] = [vin.slice(0, index), vin.slice(index + 1)];
    if (index !== CHECK_DIGIT_INDEX) {
      for (const character of CHARACTERS) {
        corrections.add(before + character + after);
      }
    }
    corrections.add(before + after.charAt(0) + vin.charAt(index) + after.slice(1));
  }
  corrections.delete(vin);
  return [...corrections].filter(hasValidCheckDigit).map((correction) => parseVin(correction));
}

function isClean({ make, model, modelYear, verdict }: Decode): boolean {
  return make !== "" && model !== "" && modelYear !== "" && verdict.codes.includes(CODE_CLEAN);
}
