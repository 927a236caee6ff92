import type { Verdict } from "../vehicle/vehicle.ts";
import type { Item } from "./item.ts";
import {
  BODY_CLASSES,
  ELEMENT,
  ERROR_CODES,
  EXCEPTED_BATCHES,
  EXCEPTED_VINS,
  VEHICLE_TYPE,
  type ErrorCode,
} from "./nhtsa-tables.ts";
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

/** Codes of a clean decode beside 0. */
const HARMLESS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([9, 10, 12]);
const OFF_ROAD_NOTE =
  " NOTE: Disregard if this is an off-road vehicle PIN, as check digit calculation may not be accurate.";
const EXCEPTION_NOTE =
  " NOTE: Check Digit Exception - The check digit was given an exception based on data from the OEM indicating an error on production.";
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
  add(1, !isCheckDigitRight(vin, isLightVehicle) && !isCheckDigitExcepted(vin));
  add(7, !findings.isWmiKnown);
  add(8, findings.isWmiKnown && !items.some((item) => item.isFromPattern));
  add(9, hasBodyClass(items, BODY_CLASSES.glider));
  add(10, hasBodyClass(items, BODY_CLASSES.offRoad));
  add(11, findings.year === undefined);
  add(12, findings.isYearContradicted);
  add(400, invalidCharactersOf(findings) !== "");
  if (!codes.every((code) => HARMLESS.has(code))) {
    return codes;
  }
  // NHTSA says that something is missing only where it would otherwise call the decode clean.
  const hasModel = items.some((item) => item.elementId === ELEMENT.model);
  return hasModel ? [0, ...codes] : [0, ...codes, 14];
}

/** How much the codes count against a pass: the higher, the better. */
export function weightOf(codes: readonly ErrorCode[]): number {
  return codes.reduce<number>((sum, code) => sum + ERROR_CODES[code].weight, 0);
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
    .map((code) => ERROR_CODES[code].text + noteOn(code))
    .join("; ")
    .slice(0, MAX_TEXT_LENGTH);
}

function invalidCharactersOf({ vin, items, isLightVehicle }: Findings): string {
  const isCheckDigitFree = hasBodyClass(items, BODY_CLASSES.offRoad) || isCheckDigitExcepted(vin);
  return invalidCharacters(vin, isLightVehicle, isCheckDigitFree);
}

function isExcepted({ vin, isLightVehicle }: Findings): boolean {
  return isCheckDigitExcepted(vin) && !isCheckDigitRight(vin, isLightVehicle);
}

/** Whether NHTSA knows that the maker gave this vehicle a wrong check digit, and accepts it. */
function isCheckDigitExcepted(vin: string): boolean {
  return (
    EXCEPTED_VINS.has(vin) ||
    EXCEPTED_BATCHES.some(({ beginning, firstSerial, lastSerial }) => {
      const [begin] = beginning.exec(vin) ?? [];
      const serial = begin === undefined ? -1 : Number(vin.slice(begin.length));
      return serial >= firstSerial && serial <= lastSerial;
    })
  );
}

function additionalTextOf(findings: Findings): string {
  const { items, vehicleTypeId } = findings;
  const invalid = invalidCharactersOf(findings);
  const isIncomplete = vehicleTypeId === VEHICLE_TYPE.incompleteVehicle || hasBodyClass(items, BODY_CLASSES.incomplete);
  const sentences = [
    invalid === "" ? "" : `Invalid character(s): ${invalid}.`,
    isIncomplete ? INCOMPLETE_WARNING : "",
    findings.isYearConclusive ? "" : YEAR_WARNING,
  ];
  return sentences
    .filter((sentence) => sentence !== "")
    .join(" ")
    .slice(0, MAX_TEXT_LENGTH);
}

function hasBodyClass(items: readonly Item[], ids: ReadonlySet<string>): boolean {
  return items.some((item) => item.elementId === ELEMENT.bodyClass && ids.has(item.attributeId));
}
