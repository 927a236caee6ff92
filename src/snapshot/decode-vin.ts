import { decodePass, type Pass } from "./decode-pass.ts";
import { EARLIEST_YEAR, impliedYear, YEARS_PER_CYCLE, yearOfOtherCycle, type ImpliedYear } from "./model-year.ts";
import { VEHICLE_TYPE } from "./nhtsa-tables.ts";
import type { SnapshotData, Wmi } from "./snapshot-data.ts";
import { toSubject, weightOf } from "./verdict.ts";
import { descriptorOf, wmiOf } from "./vin-characters.ts";

const YEARS_AHEAD = 2;
const LIGHT_TRUCK = 1;
/** Of two equally good passes, the one for the year that the caller named wins. */
const NAMED_YEAR_BONUS = 10_000;

/** How passes are compared: the first difference decides, and more is better. */
type Comparable = readonly [errors: number, elements: number, patterns: number, year: number];

/**
 * Decodes a VIN as NHTSA's spVinDecode does: for the year that the VIN implies, for both years when that is
 * inconclusive, and for the year that the caller names. The best pass wins.
 *
 * @param namedYear the year that the caller names, if any.
 * @param nowMs the time, in ms since the epoch. Years more than two ahead are ignored, and so are identifiers that become
 *   public later.
 */
export function decodeVin(data: SnapshotData, vin: string, namedYear: number | undefined, nowMs: number): Pass {
  const latestYear = new Date(nowMs).getUTCFullYear() + YEARS_AHEAD;
  const wmi = data.wmi(wmiOf(vin));
  const isLight = isLightVehicle(wmi);
  const isPublic = wmi !== undefined && wmi.availableOn <= nowMs;
  const subject = toSubject(data, vin, isPublic ? wmi : undefined, isLight);
  const attempt = (year: number | undefined, isYearConclusive: boolean, isYearContradicted: boolean): Pass =>
    decodePass(data, subject, { year, isYearConclusive, isYearContradicted });
  const contradicts = (year: number | undefined): boolean =>
    namedYear !== undefined && year !== undefined && namedYear !== year;

  const setYear = data.yearOfDescriptor(descriptorOf(vin));
  if (setYear !== undefined && isDecodable(setYear, latestYear)) {
    return attempt(setYear, true, contradicts(setYear));
  }

  const implied = impliedYear(vin, isLight, latestYear);
  const year = implied && correctCycle(data, wmi, implied, latestYear);
  const otherYear = implied === undefined || implied.isConclusive ? undefined : implied.year - YEARS_PER_CYCLE;
  const passes: Pass[] = [];
  if (namedYear !== undefined && namedYear !== year && namedYear !== otherYear && isDecodable(namedYear, latestYear)) {
    const pass = attempt(namedYear, true, true);
    if (!pass.codes.includes(8) || year === undefined) {
      return pass;
    }
    passes.push(pass);
  }
  const isConclusive = implied?.isConclusive ?? true;
  passes.push(attempt(year, isConclusive, contradicts(year)));
  if (otherYear !== undefined) {
    passes.push(attempt(otherYear, isConclusive, contradicts(otherYear)));
  }
  return bestOf(data, passes, namedYear);
}

/** Cars, MPVs and light trucks: position 7 determines the cycle of years, and the serial number has five digits. */
function isLightVehicle(wmi: Wmi | undefined): boolean {
  return (
    wmi?.vehicleTypeId === VEHICLE_TYPE.passengerCar ||
    wmi?.vehicleTypeId === VEHICLE_TYPE.mpv ||
    (wmi?.vehicleTypeId === VEHICLE_TYPE.truck && wmi.truckTypeId === LIGHT_TRUCK)
  );
}

function isDecodable(year: number, latestYear: number): boolean {
  return year >= EARLIEST_YEAR && year <= latestYear;
}

/**
 * The year of the other cycle if the implied one is conclusive but NHTSA has patterns only for the other; else the
 * implied one.
 */
function correctCycle(data: SnapshotData, wmi: Wmi | undefined, implied: ImpliedYear, latestYear: number): number {
  const other = implied.isConclusive ? yearOfOtherCycle(implied.year, latestYear) : undefined;
  if (wmi === undefined || other === undefined) {
    return implied.year;
  }
  return !data.coversYear(wmi, implied.year) && data.coversYear(wmi, other) ? other : implied.year;
}

function bestOf(data: SnapshotData, passes: readonly Pass[], namedYear: number | undefined): Pass {
  return passes.reduce((best, pass) =>
    compare(scoreFor(data, pass, namedYear), scoreFor(data, best, namedYear)) > 0 ? pass : best,
  );
}

function scoreFor(
  { isComplete, errorCodes }: SnapshotData,
  { codes, weight, patternCount, findings }: Pass,
  namedYear: number | undefined,
): Comparable {
  // With incomplete data, code 14 says little, so it is ignored when the caller names a year. Otherwise it counts: a
  // year without a model loses to the other one.
  const errors = isComplete || namedYear === undefined ? codes : codes.filter((code) => code !== 14);
  const bonus = namedYear !== undefined && findings.year === namedYear ? NAMED_YEAR_BONUS : 0;
  return [weightOf(errorCodes, errors), weight, patternCount, (findings.year ?? 0) + bonus];
}

function compare(a: Comparable, b: Comparable): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || a[3] - b[3];
}
