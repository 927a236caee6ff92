/** The variables of vPIC (its table Element) that decoding itself needs to know by number. */
export const ELEMENT = {
  bodyClass: 5,
  engineModel: 18,
  fuelTypePrimary: 24,
  gvwr: 25,
  make: 26,
  manufacturer: 27,
  model: 28,
  modelYear: 29,
  vehicleType: 39,
} as const;

/** Taken from the WMI or the year, never from patterns. */
export const ELEMENTS_NOT_FROM_PATTERNS: readonly number[] = [
  ELEMENT.make,
  ELEMENT.manufacturer,
  ELEMENT.modelYear,
  ELEMENT.vehicleType,
];

/** Notes and other free texts: of these all candidates are kept, of every other variable one. */
export const ELEMENTS_WITH_MANY_VALUES: ReadonlySet<number> = new Set([114, 121, 129, 150, 154, 155, 169, 186]);

/** What vPIC says of a variable that has a value for other kinds of vehicles only. */
export const NOT_APPLICABLE = "Not Applicable";
