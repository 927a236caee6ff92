import type { Decode, VehicleQuery, VehicleStore } from "../../src/vehicle/vehicle.ts";
import { parseVin, type Vin } from "../../src/vehicle/vin.ts";

export const NOON = Date.UTC(2026, 5, 1, 12);

/** A decode of vPIC with a test's changes. */
export function decodeOf(vin: Vin, changes: Partial<Decode> = {}): Decode {
  return {
    vin,
    make: "PETERBILT",
    model: "388",
    modelYear: "2014",
    bodyClass: "Truck-Tractor",
    source: "vpic",
    decodedAt: NOON,
    verdict: {
      codes: [0],
      text: "0 - VIN decoded clean. Check Digit (9th position) is correct",
      suggestedVin: "",
      possibleValues: "",
      additionalText: "",
    },
    attributes: { EngineCylinders: "6", Manufacturer: "PETERBILT MOTORS COMPANY" },
    ...changes,
  };
}

/** Well-formed VINs that differ from each other. */
export function someVins(count: number): Vin[] {
  return Array.from({ length: count }, (_, index) => parseVin(`1XPWD40X1ED${String(index).padStart(6, "0")}`));
}

/** Stores a decode whose caller has just read the VIN's removals. */
export async function store(stores: VehicleStore, query: VehicleQuery, decode: Decode): Promise<boolean> {
  return stores.put(query, decode, await stores.removalsOf(query.vin));
}
