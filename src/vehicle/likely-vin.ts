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
 * Adds to each decode of a VIN with a wrong check digit the VIN that is likely meant, unless the source suggests one: of
 * the likely ones that `judge` decodes clean, the first that is most alike the vehicle decoded. It is never acted on.
 *
 * @param judge a source that is quick and costs nothing; when it cannot answer, nothing is suggested.
 */
export function withLikelyVin(source: VehicleSource, judge: VehicleSource): VehicleSource {
  return {
    name: source.name,
    async decode(query, signal) {
      const decode = await source.decode(query, signal);
      if (!decode.verdict.codes.includes(WRONG_CHECK_DIGIT)) {
        return decode;
      }
      const likelyVin = await findLikelyVin(decode, query, judge, signal);
      return likelyVin === undefined ? decode : { ...decode, likelyVin };
    },
  };
}

async function findLikelyVin(
  decode: Decode,
  query: VehicleQuery,
  judge: VehicleSource,
  signal: AbortSignal,
): Promise<Vin | undefined> {
  let best: { readonly vin: Vin; readonly likeness: number } | undefined;
  for (const vin of likelyVins(query.vin)) {
    const candidate = await judge.decode({ ...query, vin }, signal).catch(() => undefined);
    const likeness = candidate === undefined || !isClean(candidate) ? 0 : 1 + likenessOf(decode, candidate);
    if (likeness > (best?.likeness ?? 0)) {
      best = { vin, likeness };
    }
  }
  return best?.vin;
}

/** How much of the vehicle is the same: most mistakes are in the serial number, which says nothing of the vehicle. */
function likenessOf(a: Decode, b: Decode): number {
  return (
    [a.make === b.make, a.model === b.model, a.modelYear === b.modelYear, a.bodyClass === b.bodyClass].filter(Boolean)
      .length + (haveSameAttributes(a, b) ? 1 : 0)
  );
}

function haveSameAttributes(a: Decode, b: Decode): boolean {
  const names = Object.keys(b.attributes);
  return names.every((name) => a.attributes[name] === b.attributes[name]);
}

function isClean(decode: Decode): boolean {
  return decode.verdict.codes.includes(DECODED_CLEAN) && decode.make !== "" && decode.model !== "";
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
