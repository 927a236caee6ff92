import { hasValidCheckDigit } from "./check-digit.ts";
import type { Decode, VehicleQuery, VehicleSource } from "./vehicle.ts";
import type { Vin } from "./vin.ts";
import { parseVin } from "./vin.ts";

const WRONG_CHECK_DIGIT = 1;
const DECODED_CLEAN = 0;
/** Characters that are taken for each other when a VIN is read off a plate or a paper. */
const LOOK_ALIKES = ["S5", "Z2", "B8", "G6", "D0", "L1", "T7", "UV"] as const;
const TWIN = new Map(LOOK_ALIKES.flatMap(([a = "", b = ""]) => [[a, b] as const, [b, a] as const]));

/**
 * The VINs with a right check digit that one change of a look-alike, or else one swap of neighbours, makes of this one.
 * The likeliest first.
 */
export function likelyVins(vin: Vin): Vin[] {
  const candidates = new Set([...withLookAlike(vin), ...withSwap(vin)]);
  candidates.delete(vin);
  return [...candidates].filter(hasValidCheckDigit);
}

/**
 * Adds to each decode of a VIN with a wrong check digit the VIN that is likely meant, unless the source suggests one:
 * the first of the likely ones that `judge` decodes clean. It is never acted on.
 *
 * @param judge a source that is quick and costs nothing; when it cannot answer, nothing is suggested.
 */
export function withSuggestedVin(source: VehicleSource, judge: VehicleSource): VehicleSource {
  return {
    name: source.name,
    async decode(query, signal) {
      const decode = await source.decode(query, signal);
      if (!decode.verdict.codes.includes(WRONG_CHECK_DIGIT) || decode.verdict.suggestedVin !== "") {
        return decode;
      }
      const suggestedVin = await findLikelyVin(query, judge, signal);
      return suggestedVin === undefined ? decode : { ...decode, verdict: { ...decode.verdict, suggestedVin } };
    },
  };
}

async function findLikelyVin(query: VehicleQuery, judge: VehicleSource, signal: AbortSignal): Promise<Vin | undefined> {
  for (const vin of likelyVins(query.vin)) {
    if (isClean(await judge.decode({ ...query, vin }, signal).catch(() => undefined))) {
      return vin;
    }
  }
  return undefined;
}

function isClean(decode: Decode | undefined): boolean {
  return decode?.verdict.codes.includes(DECODED_CLEAN) === true && decode.make !== "" && decode.model !== "";
}

function* withLookAlike(vin: Vin): Iterable<Vin> {
  for (const [index, character] of Array.from(vin).entries()) {
    const twin = TWIN.get(character);
    if (twin !== undefined) {
      yield parseVin(`${vin.slice(0, index)}${twin}${vin.slice(index + 1)}`);
    }
  }
}

function* withSwap(vin: Vin): Iterable<Vin> {
  for (let index = 0; index + 1 < vin.length; index++) {
    yield parseVin(`${vin.slice(0, index)}${vin.charAt(index + 1)}${vin.charAt(index)}${vin.slice(index + 2)}`);
  }
}
