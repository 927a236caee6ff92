import { hasValidCheckDigit } from "./check-digit.ts";
import type { Decode, VehicleQuery, VehicleSource } from "./vehicle.ts";
import type { Vin } from "./vin.ts";
import { parseVin } from "./vin.ts";

const CODE_CLEAN = 0;
const CODE_WRONG_CHECK_DIGIT = 1;
const CODE_UNKNOWN_MAKER = 7;
const CHARACTERS = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ";
const WMI_LENGTH = 3;
const CHECK_DIGIT_INDEX = 8;
/** The start of the serial number, which does not describe the vehicle. */
const SERIAL_INDEX = 11;
/**
 * North American VINs without those of small makers, which have a 9 at position 3. In other regions position 9 is free,
 * and NHTSA has no data for most vehicles of small makers.
 */
const HAS_CHECK_DIGIT_AND_DATA = /^[1-57].[^9]/;

/**
 * Adds our own guess at the intended VIN when the check digit is wrong and no model was found. The guess is the only
 * VIN that decodes clean and differs by one character or one swap of neighbours. It is never acted on.
 *
 * No guess is made when a model was found: the mistake is then most likely in the serial number, where many corrections
 * fit.
 *
 * A guess takes some milliseconds, so guesses are made one after the other, each in its own turn of the event loop.
 *
 * @param judge decodes the corrections, about 30. Without its answer, no guess is made.
 */
export function withLikelyVin(source: VehicleSource, judge: VehicleSource): VehicleSource {
  let lastGuess: Promise<Vin | undefined> = Promise.resolve(undefined);
  return {
    name: source.name,
    refusalOf: (vin) => source.refusalOf?.(vin),
    async decode(query, signal) {
      const decode = await source.decode(query, signal);
      if (!isDoubtful(decode)) {
        return decode;
      }
      const guess = lastGuess
        .then(() => othersTurn())
        .then(() => findLikelyVin(decode, query, judge, signal))
        .catch(() => undefined);
      lastGuess = guess;
      const likelyVin = await guess;
      return likelyVin === undefined ? decode : { ...decode, likelyVin };
    },
  };
}

/** Lets the event loop run everything else that is due. */
function othersTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function isDoubtful({ vin, model, verdict }: Decode): boolean {
  return model === "" && verdict.codes.includes(CODE_WRONG_CHECK_DIGIT) && HAS_CHECK_DIGIT_AND_DATA.test(vin);
}

async function findLikelyVin(
  { verdict }: Decode,
  query: VehicleQuery,
  judge: VehicleSource,
  signal: AbortSignal,
): Promise<Vin | undefined> {
  const decodesClean = async (vin: Vin): Promise<boolean> => isClean(await judge.decode({ ...query, vin }, signal));
  const corrections = correctionsOf(query.vin);
  const ofSameMaker = corrections.filter((vin) => wmiOf(vin) === wmiOf(query.vin));
  const ofOtherMakers = corrections.filter((vin) => wmiOf(vin) !== wmiOf(query.vin));
  if (verdict.codes.includes(CODE_UNKNOWN_MAKER)) {
    return onlyMatch(ofOtherMakers, decodesClean);
  }
  // A maker that NHTSA knows is seldom wrong. But if other makers fit too, nothing is certain.
  const likelyVin = await onlyMatch(ofSameMaker, decodesClean);
  return likelyVin === undefined || (await hasMatch(ofOtherMakers, decodesClean)) ? undefined : likelyVin;
}

async function onlyMatch(vins: readonly Vin[], matches: (vin: Vin) => Promise<boolean>): Promise<Vin | undefined> {
  for (const [index, vin] of vins.entries()) {
    if (await matches(vin)) {
      return (await hasMatch(vins.slice(index + 1), matches)) ? undefined : vin;
    }
  }
  return undefined;
}

async function hasMatch(vins: readonly Vin[], matches: (vin: Vin) => Promise<boolean>): Promise<boolean> {
  for (const vin of vins) {
    if (await matches(vin)) {
      return true;
    }
  }
  return false;
}

function wmiOf(vin: Vin): string {
  return vin.slice(0, WMI_LENGTH);
}

/** The VINs with a correct check digit that differ in the part that describes the vehicle. */
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
