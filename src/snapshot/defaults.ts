import { ELEMENT, NOT_APPLICABLE } from "./elements.ts";

interface Default {
  readonly elementId: number;
  readonly attributeId: string;
  readonly value?: string;
}

const MOTORCYCLE = 1;
const TRAILER = 6;
const LOW_SPEED_VEHICLE = 9;
/** Class 1A: 3,000 lb or less. */
const LIGHTEST_GVWR = "10";

/**
 * What NHTSA takes to be so for a whole kind of vehicle (its table DefaultValue), by vehicle type. Those that only say
 * "Not Applicable" are left out, unless they count when two passes are compared.
 */
const DEFAULTS: Readonly<Record<number, readonly Default[]>> = {
  [MOTORCYCLE]: [{ elementId: ELEMENT.gvwr, attributeId: LIGHTEST_GVWR }],
  [TRAILER]: [{ elementId: ELEMENT.fuelTypePrimary, attributeId: "0", value: NOT_APPLICABLE }],
  [LOW_SPEED_VEHICLE]: [{ elementId: ELEMENT.gvwr, attributeId: LIGHTEST_GVWR }],
};

/** The defaults of a vehicle type, for variables that are not known otherwise. */
export function defaultsOf(vehicleTypeId: number | null): readonly Default[] {
  return vehicleTypeId === null ? [] : (DEFAULTS[vehicleTypeId] ?? []);
}
