import type { ErrorCode } from "./nhtsa-tables.ts";
import { COMPARED_POSITIONS, type ValidCharacters } from "./valid-characters.ts";
import { isCheckDigitRight, isSmallMaker } from "./vin-characters.ts";
import type { Item } from "./winners.ts";

/** The result of comparing a VIN with the characters that NHTSA allows. Texts are empty when nothing was found. */
export interface Comparison {
  /** One of the codes 2 to 5, or none. */
  readonly codes: readonly ErrorCode[];
  /** The VIN with the wrong character replaced, or with `!` for each wrong one. */
  readonly suggestedVin: string;
  /** Such as `(4:ABC)(7:12)`. */
  readonly possibleValues: string;
  /** Positions that no pattern uses, such as `5,11`. They are the reason for code 14. */
  readonly unusedPositions: string;
}

interface WrongPosition {
  readonly position: number;
  readonly possible: string;
}

/** The result when no position is compared. */
export const NOT_COMPARED: Comparison = { codes: [], suggestedVin: "", possibleValues: "", unusedPositions: "" };

const WRONG = "!";
/** Positions that describe the vehicle. */
const DESCRIBING_POSITIONS = [4, 5, 6, 7, 8, 11];
const FIRST_POSITION = 4;
/** The last position compared when positions 12 to 14 identify the manufacturer. */
const LAST_OF_SMALL_MAKER = 11;

/**
 * Compares a VIN as NHTSA's spVinDecode_ErrorCode does.
 *
 * @param items the values found for the VIN.
 */
export function comparePositions(vin: string, valid: ValidCharacters, items: readonly Item[]): Comparison {
  return { ...correct(vin, findWrong(vin, valid)), unusedPositions: findUnused(items).join(",") };
}

function findWrong(vin: string, valid: ValidCharacters): WrongPosition[] {
  const last = isSmallMaker(vin) ? LAST_OF_SMALL_MAKER : Infinity;
  return COMPARED_POSITIONS.flatMap((position, place) =>
    position > last || valid.allows(place, vin.charAt(position - 1)) ? [] : { position, possible: valid.at(place) },
  );
}

function correct(vin: string, wrong: readonly WrongPosition[]): Omit<Comparison, "unusedPositions"> {
  const [first] = wrong;
  if (first === undefined) {
    return NOT_COMPARED;
  }
  const suggestedVin = wrong.reduce((corrected, { position }) => replaceAt(corrected, position, WRONG), vin);
  const possibleValues = wrong.map(describe).join("");
  if (wrong.length > 1) {
    return { codes: [5], suggestedVin, possibleValues };
  }
  const { position, possible } = first;
  if (possible.length === 1) {
    return { codes: [2], suggestedVin: replaceAt(vin, position, possible), possibleValues };
  }
  const fitting = Array.from(possible).filter((character) => isAccepted(replaceAt(vin, position, character)));
  const [only = ""] = fitting;
  return fitting.length === 1
    ? {
        codes: [3],
        suggestedVin: replaceAt(vin, position, only),
        possibleValues: describe({ position, possible: only }),
      }
    : { codes: [4], suggestedVin, possibleValues };
}

/** NHTSA treats every vehicle as a light one here. */
function isAccepted(vin: string): boolean {
  return isCheckDigitRight(vin, true);
}

function findUnused(items: readonly Item[]): number[] {
  const used = items.reduce((positions, item) => positions | item.positions, 0);
  return DESCRIBING_POSITIONS.filter((position) => ((used >>> (position - FIRST_POSITION)) & 1) === 0);
}

function describe({ position, possible }: WrongPosition): string {
  return `(${position}:${possible})`;
}

/** @param position from 1. */
export function replaceAt(vin: string, position: number, character: string): string {
  return vin.slice(0, position - 1) + character + vin.slice(position);
}
