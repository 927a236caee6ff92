import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { LookupResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { ageInWords, dateInWords } from "./words.ts";

/** A short judgement of a VIN: `good` decoded clean, `doubt` decoded with a reservation, `bad` likely a wrong VIN. */
export interface Badge {
  readonly tone: "good" | "doubt" | "bad";
  readonly words: string;
}

const CLEAN = 0;
const PARTLY_UNKNOWN = 14;
/** vPIC's codes, from the most important one on, in words as short as a badge. */
const CODES: readonly (readonly [code: number, tone: Badge["tone"], words: string])[] = [
  [7, "bad", "Manufacturer not registered"],
  [400, "bad", "Impossible characters"],
  [5, "bad", "Errors in several positions"],
  [4, "bad", "Error in one position"],
  [2, "doubt", "Decoded as corrected"],
  [3, "doubt", "Decoded as corrected"],
  [6, "doubt", "Incomplete VIN"],
  [8, "doubt", "No detailed data"],
  [1, "doubt", "Check digit wrong"],
  [11, "doubt", "Model year character wrong"],
  [12, "doubt", "Other model year than given"],
  [PARTLY_UNKNOWN, "doubt", "Some characters unknown"],
  [9, "doubt", "Glider kit"],
  [10, "doubt", "Off-road vehicle"],
];
const NO_VERDICT = [undefined, "doubt", "No verdict"] as const;

/** Names a vehicle, such as "2014 PETERBILT 388" with "Truck-Tractor" beside it. */
export function headlineOf({ make, model, modelYear, bodyClass }: LookupResponse): {
  readonly name: string;
  readonly body: string;
} {
  return { name: [modelYear, make, model].filter((word) => word !== "").join(" "), body: bodyClass };
}

/** The three parts of a VIN and what they say. */
export function partsOf(
  vin: string,
): readonly { readonly text: string; readonly name: string; readonly says: string }[] {
  return [
    { text: vin.slice(0, 3), name: "WMI", says: "maker" },
    { text: vin.slice(3, 9), name: "VDS", says: "vehicle and check digit" },
    { text: vin.slice(9), name: "VIS", says: "year, plant, serial number" },
  ];
}

/** The verdict's codes as one badge. */
export function badgeOf(codes: readonly number[]): Badge {
  if (codes.includes(CLEAN)) {
    return { tone: "good", words: codes.includes(PARTLY_UNKNOWN) ? "Decoded clean, in part" : "Decoded clean" };
  }
  const [, tone, words] = CODES.find(([code]) => codes.includes(code)) ?? NO_VERDICT;
  return { tone, words };
}

/**
 * The texts of a verdict without their codes, such as "Check Digit (9th position) does not calculate properly".
 *
 * @param text vPIC's, such as "1 - Check Digit ...; 14 - Unable to ..."
 */
export function remarksOf(text: string): readonly string[] {
  return text
    .split(/;\s*(?=\d+ - )/)
    .map((remark) => remark.replace(/^\d+ - /, "").trim())
    .filter((remark) => remark !== "");
}

/**
 * Where an answer comes from, such as "vPIC, 3 minutes ago" or "NHTSA's data of 17 Feb 2026".
 *
 * @param now ms since the epoch
 */
export function sourceInWords(vehicle: LookupResponse, now: number): string {
  if (vehicle.source === Source.SNAPSHOT) {
    return vehicle.dataDate === "" ? "NHTSA's data" : `NHTSA's data of ${dateInWords(vehicle.dataDate)}`;
  }
  const decodedAt = vehicle.decodeTime === undefined ? undefined : timestampMs(vehicle.decodeTime);
  return decodedAt === undefined ? "vPIC" : `vPIC, ${ageInWords(now - decodedAt)}`;
}

/** What else there is to know about the age of an answer; empty when there is nothing. */
export function freshnessInWords({ cached, stale, source }: LookupResponse): string {
  if (stale) {
    return "older answer from the cache, because vPIC does not answer now";
  }
  if (cached) {
    return "from the cache";
  }
  return source === Source.SNAPSHOT ? "decoded by the service itself" : "";
}
