const SMALL_MAKER_MARK = "9";

/** Whether position 3 says that the maker builds few vehicles, so that positions 12 to 14 are part of its identifier. */
export function isSmallMaker(vin: string): boolean {
  return vin.charAt(2) === SMALL_MAKER_MARK;
}

/** The world manufacturer identifier: 3 characters, 6 for a small maker. */
export function wmiOf(vin: string): string {
  return isSmallMaker(vin) ? vin.slice(0, 3) + vin.slice(11, 14) : vin.slice(0, 3);
}

/** What patterns are matched against: positions 4 to 8, a bar, positions 10 to 17. */
export function patternKeyOf(vin: string): string {
  return `${vin.slice(3, 8)}|${vin.slice(9)}`;
}

/** What two vehicles built alike share: the first 11 characters (14 for a small maker) with `*` for the check digit. */
export function descriptorOf(vin: string): string {
  return `${vin.slice(0, 8)}*${vin.slice(9, isSmallMaker(vin) ? 14 : 11)}`;
}
