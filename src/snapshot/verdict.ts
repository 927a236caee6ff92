import type { Verdict } from "../vehicle/vehicle.ts";
import { replaceAt, type Comparison } from "./compared-positions.ts";
import {
  BODY_CLASSES,
  ELEMENT,
  EXCEPTED_BATCHES,
  VEHICLE_TYPE,
  type ErrorCode,
  type ErrorMeaning,
} from "./nhtsa-tables.ts";
import type { SnapshotData, Wmi } from "./snapshot-data.ts";
import { invalidCharacters, isCheckDigitRight } from "./vin-characters.ts";
import type { Item } from "./winners.ts";

/** What is known about a VIN independently of its year. */
export interface Subject {
  readonly vin: string;
  /** Undefined when NHTSA does not know the identifier or has not published it yet. */
  readonly wmi: Wmi | undefined;
  readonly isLightVehicle: boolean;
  readonly isCheckDigitRight: boolean;
  /** Whether the check digit is wrong and NHTSA exempts the VIN. */
  readonly isCheckDigitExcepted: boolean;
}

/** A VIN decoded for one year, to be judged. */
export interface Findings {
  readonly subject: Subject;
  /** The assumed year; undefined when position 10 is not a year code. */
  readonly year: number | undefined;
  /** False when the vehicle may also be 30 years older or newer. */
  readonly isYearConclusive: boolean;
  /** Whether the caller named a year other than the assumed one or the VIN's. */
  readonly isYearContradicted: boolean;
  readonly items: readonly Item[];
  readonly comparison: Comparison;
}

type Meanings = ReadonlyMap<number, ErrorMeaning>;

/** Codes, in addition to 0, that a clean decode may have. */
const HARMLESS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([9, 10, 12, 14]);
const OFF_ROAD_NOTE =
  " NOTE: Disregard if this is an off-road vehicle PIN, as check digit calculation may not be accurate.";
const EXCEPTION_NOTE =
  " NOTE: Check Digit Exception - The check digit was given an exception based on data from the OEM indicating an error on production.";
const INCOMPLETE_WARNING =
  "Incomplete Vehicle Warning - Please be advised that the vehicle may have been altered and may not be an accurate representation of the vehicle in its current condition.";
const YEAR_WARNING =
  "The Model Year decoded for this VIN may be incorrect. If you know the Model year, please enter it and decode again to get more accurate information.";
const MAX_TEXT_LENGTH = 500;
/** The positions in a text such as `9:B, 14:A`. */
const POSITION = /\d+(?=:)/g;

export function toSubject(
  data: Pick<SnapshotData, "isComplete" | "isExcepted">,
  vin: string,
  wmi: Wmi | undefined,
  isLightVehicle: boolean,
): Subject {
  const isRight = isCheckDigitRight(vin, isLightVehicle);
  return {
    vin,
    wmi,
    isLightVehicle,
    isCheckDigitRight: isRight,
    isCheckDigitExcepted: !isRight && (data.isExcepted(vin) || (!data.isComplete && isInExceptedBatch(vin))),
  };
}

/** NHTSA's error codes for a decode, ascending. */
export function judge(findings: Findings): ErrorCode[] {
  const { subject, items, comparison } = findings;
  const codes: ErrorCode[] = [];
  const add = (code: ErrorCode, applies: boolean): void => {
    if (applies) {
      codes.push(code);
    }
  };
  add(1, !subject.isCheckDigitRight && !subject.isCheckDigitExcepted);
  codes.push(...comparison.codes);
  add(7, subject.wmi === undefined);
  add(8, subject.wmi !== undefined && !hasPatterns(items));
  add(9, hasBodyClass(items, BODY_CLASSES.glider));
  add(10, hasBodyClass(items, BODY_CLASSES.offRoad));
  add(11, findings.year === undefined);
  add(12, findings.isYearContradicted);
  add(14, comparison.unusedPositions !== "");
  add(400, invalidCharactersOf(findings) !== "");
  if (!codes.every((code) => HARMLESS.has(code))) {
    return codes;
  }
  // NHTSA reports a missing model only where it would otherwise call the decode clean.
  add(14, comparison.unusedPositions === "" && !items.some((item) => item.elementId === ELEMENT.model));
  return [0, ...codes];
}

/** Whether anything was found by patterns. Otherwise, NHTSA compares no positions. */
export function hasPatterns(items: readonly Item[]): boolean {
  return items.some((item) => item.isPattern);
}

/** The weight of the codes when passes are compared: the higher, the better. */
export function weightOf(meanings: Meanings, codes: readonly ErrorCode[]): number {
  return codes.reduce<number>((sum, code) => sum + (meanings.get(code)?.weight ?? 0), 0);
}

/**
 * The verdict as text. Suggests corrections only with complete data: incomplete data does not say which characters are
 * possible.
 */
export function toVerdict(
  { isComplete, errorCodes }: Pick<SnapshotData, "isComplete" | "errorCodes">,
  codes: readonly ErrorCode[],
  findings: Findings,
): Verdict {
  return {
    codes,
    text: textOf(errorCodes, codes, findings.subject.isCheckDigitExcepted),
    suggestedVin: isComplete ? suggestedVinOf(findings) : "",
    possibleValues: findings.comparison.possibleValues,
    additionalText: additionalTextOf(errorCodes, codes, findings),
  };
}

/**
 * NHTSA's texts for the codes, joined as in vPIC.
 *
 * @param isExcepted whether the check digit is wrong but exempted.
 */
export function textOf(meanings: Meanings, codes: readonly ErrorCode[], isExcepted: boolean): string {
  const isOffRoad = codes.includes(10);
  const noteOn = (code: ErrorCode): string => {
    if (code === 0) {
      return isExcepted ? EXCEPTION_NOTE : "";
    }
    return code === 1 && isOffRoad ? OFF_ROAD_NOTE : "";
  };
  return codes
    .map((code) => (meanings.get(code)?.text ?? "") + noteOn(code))
    .join("; ")
    .slice(0, MAX_TEXT_LENGTH)
    .trimEnd();
}

function suggestedVinOf(findings: Findings): string {
  const { subject, comparison } = findings;
  const invalid = [...invalidCharactersOf(findings).matchAll(POSITION)].map(([position]) => Number(position));
  const corrected = comparison.suggestedVin === "" && invalid.length > 0 ? subject.vin : comparison.suggestedVin;
  return invalid.reduce((vin, position) => replaceAt(vin, position, "!"), corrected);
}

function invalidCharactersOf({ subject, items }: Findings): string {
  const isCheckDigitFree = subject.isCheckDigitExcepted || hasBodyClass(items, BODY_CLASSES.offRoad);
  return invalidCharacters(subject.vin, subject.isLightVehicle, isCheckDigitFree);
}

/** Whether NHTSA knows that the maker gave these vehicles a wrong check digit, and accepts it. */
function isInExceptedBatch(vin: string): boolean {
  return EXCEPTED_BATCHES.some(({ beginning, firstSerial, lastSerial }) => {
    const [begin] = beginning.exec(vin) ?? [];
    const serial = begin === undefined ? -1 : Number(vin.slice(begin.length));
    return serial >= firstSerial && serial <= lastSerial;
  });
}

function additionalTextOf(meanings: Meanings, codes: readonly ErrorCode[], findings: Findings): string {
  const { subject, items } = findings;
  const { unusedPositions } = findings.comparison;
  const invalid = invalidCharactersOf(findings);
  const isIncomplete =
    subject.wmi?.vehicleTypeId === VEHICLE_TYPE.incompleteVehicle || hasBodyClass(items, BODY_CLASSES.incomplete);
  const sentences = [
    ...codes.map((code) => meanings.get(code)?.additionalText ?? ""),
    unusedPositions === "" ? "" : `Unused position(s): ${unusedPositions}.`,
    invalid === "" ? "" : `Invalid character(s): ${invalid}.`,
    isIncomplete ? INCOMPLETE_WARNING : "",
    findings.isYearConclusive ? "" : YEAR_WARNING,
  ];
  return sentences
    .filter((sentence) => sentence !== "")
    .join(" ")
    .slice(0, MAX_TEXT_LENGTH)
    .trimEnd();
}

function hasBodyClass(items: readonly Item[], ids: ReadonlySet<string>): boolean {
  return items.some((item) => item.elementId === ELEMENT.bodyClass && ids.has(item.attributeId));
}
