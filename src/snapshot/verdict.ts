import type { Verdict } from "../vehicle/vehicle.ts";
import { isGlider, isIncomplete, isOffRoad } from "./body-class-kinds.ts";
import { isWrongCheckDigitExcepted } from "./check-digit-exceptions.ts";
import { textOf, type ErrorCode } from "./error-codes.ts";
import type { Item } from "./item.ts";
import { invalidCharacters, isCheckDigitRight } from "./vin-characters.ts";

/** What there is to judge: a VIN decoded for one year. */
export interface Findings {
  readonly vin: string;
  /** The year decoded for; undefined when position 10 names none. */
  readonly year: number | undefined;
  /** False when the vehicle may as well be 30 years older or newer. */
  readonly isYearConclusive: boolean;
  /** Whether the caller named another year than the one decoded for, or than the VIN's. */
  readonly isYearContradicted: boolean;
  readonly isLightVehicle: boolean;
  /** Whether NHTSA knows the manufacturer. */
  readonly isWmiKnown: boolean;
  readonly vehicleTypeId: number | null;
  readonly items: readonly Item[];
}

/** Codes that do not stand against a clean decode. */
const HARMLESS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([9, 10, 12]);
const INCOMPLETE_WARNING =
  "Incomplete Vehicle Warning - Please be advised that the vehicle may have been altered and may not be an accurate representation of the vehicle in its current condition.";
const YEAR_WARNING =
  "The Model Year decoded for this VIN may be incorrect. If you know the Model year, please enter it and decode again to get more accurate information.";
const MAX_TEXT_LENGTH = 500;

/** NHTSA's error codes for a decode, ascending, as far as the snapshot can tell. */
export function judge(findings: Findings): ErrorCode[] {
  const { vin, items, isLightVehicle } = findings;
  const codes: ErrorCode[] = [];
  const add = (code: ErrorCode, applies: boolean): void => {
    if (applies) {
      codes.push(code);
    }
  };
  add(1, !isCheckDigitRight(vin, isLightVehicle) && !isWrongCheckDigitExcepted(vin));
  add(7, !findings.isWmiKnown);
  add(8, findings.isWmiKnown && !items.some((item) => item.isFromPattern));
  add(9, isGlider(items));
  add(10, isOffRoad(items));
  add(11, findings.year === undefined);
  add(12, findings.isYearContradicted);
  add(400, invalidCharactersOf(findings) !== "");
  return codes.every((code) => HARMLESS.has(code)) ? [0, ...codes] : codes;
}

/** The verdict in words. Corrections are never proposed: the data does not tell which characters are possible. */
export function toVerdict(codes: readonly ErrorCode[], findings: Findings): Verdict {
  return {
    codes,
    text: textOf(codes, isExcepted(findings)),
    suggestedVin: "",
    possibleValues: "",
    additionalText: additionalTextOf(findings),
  };
}

function invalidCharactersOf({ vin, items, isLightVehicle }: Findings): string {
  return invalidCharacters(vin, isLightVehicle, isOffRoad(items) || isWrongCheckDigitExcepted(vin));
}

function isExcepted({ vin, isLightVehicle }: Findings): boolean {
  return isWrongCheckDigitExcepted(vin) && !isCheckDigitRight(vin, isLightVehicle);
}

function additionalTextOf(findings: Findings): string {
  const { items, vehicleTypeId } = findings;
  const invalid = invalidCharactersOf(findings);
  const sentences = [
    invalid === "" ? "" : `Invalid character(s): ${invalid}.`,
    isIncomplete(items, vehicleTypeId) ? INCOMPLETE_WARNING : "",
    findings.isYearConclusive ? "" : YEAR_WARNING,
  ];
  return sentences
    .filter((sentence) => sentence !== "")
    .join(" ")
    .slice(0, MAX_TEXT_LENGTH);
}
