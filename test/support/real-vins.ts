import { checkDigit } from "../../src/vehicle/check-digit.ts";
import type { Vin } from "../../src/vehicle/vin.ts";
import { parseVin } from "../../src/vehicle/vin.ts";

/** Different VINs with right check digits: one model of truck, with serial numbers from 0. At most 100,000. */
export function manyVins(count: number): Vin[] {
  return Array.from({ length: count }, (_, serial) => {
    const end = `ED2${String(serial).padStart(5, "0")}`;
    return parseVin(`1XPWD40X${checkDigit(`1XPWD40X0${end}`)}${end}`);
  });
}
