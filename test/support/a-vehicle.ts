import type { Decode } from "../../src/vehicle/vehicle.ts";
import { parseVin } from "../../src/vehicle/vin.ts";

/** A decode of vPIC. Tests override the members that matter to them. */
export function aVehicle(overrides: Partial<Decode> = {}): Decode {
  return {
    vin: parseVin("1XPWD40X1ED215307"),
    make: "PETERBILT",
    model: "388",
    modelYear: "2014",
    bodyClass: "Truck-Tractor",
    source: "vpic",
    decodedAt: Date.UTC(2026, 10, 22, 12),
    verdict: {
      codes: [0],
      text: "0 - VIN decoded clean. Check Digit (9th position) is correct",
      suggestedVin: "",
      possibleValues: "",
      additionalText: "",
    },
    attributes: { EngineCylinders: "6", VehicleType: "TRUCK" },
    ...overrides,
  };
}
