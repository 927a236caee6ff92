const YEAR_CODES = "ABCDEFGHJKLMNPRSTVWXY123456789";
const FIRST_YEAR_OF_LATER_CYCLE = 2010;
/** The number of years after which the codes of position 10 repeat. */
export const YEARS_PER_CYCLE = 30;
/** The first year that vPIC decodes. */
export const EARLIEST_YEAR = 1980;

/** The model year according to position 10 and the kind of vehicle. */
export interface ImpliedYear {
  readonly year: number;
  /** False when the vehicle may also be one cycle older. */
  readonly isConclusive: boolean;
}

/**
 * The model year that a VIN implies; undefined when position 10 is not a year code (0, U, Z).
 *
 * @param isLightVehicle whether the WMI is one of cars, MPVs or light trucks: for these, and only these, a digit at
 *   position 7 means the earlier cycle and a letter the later one.
 * @param latestYear the latest plausible year; a later one is moved back a cycle.
 */
export function impliedYear(vin: string, isLightVehicle: boolean, latestYear: number): ImpliedYear | undefined {
  const index = YEAR_CODES.indexOf(vin.charAt(9));
  if (index === -1) {
    return undefined;
  }
  const isEarlierCycle = isLightVehicle && isDigit(vin.charAt(6));
  const year = FIRST_YEAR_OF_LATER_CYCLE + index - (isEarlierCycle ? YEARS_PER_CYCLE : 0);
  return year > latestYear
    ? { year: year - YEARS_PER_CYCLE, isConclusive: true }
    : { year, isConclusive: isLightVehicle };
}

/** The year of the same code in the other cycle; undefined when vPIC does not decode that year. */
export function yearOfOtherCycle(year: number, latestYear: number): number | undefined {
  const other = year < FIRST_YEAR_OF_LATER_CYCLE ? year + YEARS_PER_CYCLE : year - YEARS_PER_CYCLE;
  return other >= EARLIEST_YEAR && other <= latestYear ? other : undefined;
}

function isDigit(character: string): boolean {
  return character >= "0" && character <= "9";
}
