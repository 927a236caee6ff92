import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { decodeVin } from "../../src/snapshot/decode-vin.ts";
import type { SnapshotData } from "../../src/snapshot/snapshot-data.ts";
import { toDecode } from "../../src/snapshot/to-decode.ts";
import { checkDigit } from "../../src/vehicle/check-digit.ts";
import type { Decode } from "../../src/vehicle/vehicle.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { FULL_TABLES } from "./full-tables.ts";
import { formatDump } from "./sql-dump-file.ts";
import { makeTemporaryDirectory } from "./temporary-directory.ts";
import { unpackHere } from "./unpack-here.ts";

const NOW_MS = Date.parse("2026-11-22T12:00:00Z");
const YEAR_WARNING =
  "The Model Year decoded for this VIN may be incorrect. If you know the Model year, please enter it and decode again to get more accurate information.";
const INCOMPLETE_WARNING =
  "Incomplete Vehicle Warning - Please be advised that the vehicle may have been altered and may not be an accurate representation of the vehicle in its current condition.";

let data: SnapshotData;

beforeAll(async () => {
  await using directory = await makeTemporaryDirectory();
  const path = join(directory.path, "vPICList_lite_2026_10.sql");
  await writeFile(path, formatDump(FULL_TABLES));
  data = await unpackHere(path, join(directory.path, "data"));
});

/** Decodes a VIN. `_` at position 9 stands for the correct check digit. */
function decode(text: string, modelYear?: number, nowMs = NOW_MS): Decode {
  const vin = parseVin(text.replace("_", checkDigit(text.replace("_", "0"))));
  return toDecode(data, { vin, modelYear }, decodeVin(data, vin, modelYear, nowMs), nowMs);
}

describe("with all of NHTSA's data, the attributes", () => {
  test("are those of patterns, conversions and specifications, without private and inapplicable ones", () => {
    const car = decode("1AAABCDE6EP000001");

    expect(car).toMatchObject({ make: "ALPHA", model: "Aster", modelYear: "2014", bodyClass: "Sedan/Saloon" });
    expect(car.verdict).toEqual({
      codes: [0],
      text: "0 - VIN decoded clean. Check Digit (9th position) is correct",
      suggestedVin: "",
      possibleValues: "",
      additionalText: "",
    });
    expect(car.attributes).toEqual({
      AirBagLocFront: "Driver Seat Only",
      CIB: "Standard",
      DisplacementCC: "2500.0",
      DisplacementCI: "152.55936023683",
      DisplacementL: "2.5",
      DriveType: "RWD/Rear-Wheel Drive",
      EngineCylinders: "4",
      FuelTypePrimary: "Gasoline",
      MakeID: "10",
      Manufacturer: "ALPHA MOTORS",
      ManufacturerId: "900",
      ModelID: "1000",
      Note: "First note, Second note, Specified note",
      PlantCity: "GARY",
      Seats: "5",
      Series: "First",
      VehicleDescriptor: "1AAABCDE*EP",
      VehicleType: "PASSENGER CAR",
    });
  });

  test("have what the engine model implies, and what a formula reads from the VIN", () => {
    const tractor = decode("1BBTVD52_FD000001");

    expect(tractor).toMatchObject({ make: "ALPHA TRUCKS", model: "Titan", bodyClass: "Truck-Tractor" });
    expect(tractor.attributes).toEqual({
      EngineCylinders: "8",
      EngineHP: "300",
      EngineModel: "alpha v8",
      FuelTypePrimary: "Diesel",
      MakeID: "11",
      Manufacturer: "ALPHA MOTORS",
      ManufacturerId: "900",
      ModelID: "1001",
      PlantCity: "DENTON",
      Seats: "5",
      VehicleDescriptor: "1BBTVD52*FD",
      VehicleType: "TRUCK",
    });
  });

  test("are those of the manufacturer and the defaults of its vehicles when no pattern matches", () => {
    const trailer = decode("1CCTAAAA_FA000001");
    const motorcycle = decode("1FFTAAAA_FA000001");

    expect(trailer).toMatchObject({ make: "ALPHA", model: "", verdict: { codes: [8] } });
    expect(trailer.attributes).toEqual({
      MakeID: "10",
      Manufacturer: "ALPHA MOTORS",
      ManufacturerId: "900",
      Seats: "0",
      VehicleDescriptor: "1CCTAAAA*FA",
      VehicleType: "TRAILER",
    });
    expect(motorcycle.attributes["GVWR"]).toBe("Class 1A: 3,000 lb or less (1,360 kg or less)");
  });

  test("come from the schema with the latest first year", () => {
    expect(decode("1AAABCDE_JP000001").bodyClass).toBe("Incomplete - Glider");
  });

  test("have specifications only of the year", () => {
    expect(decode("1AAABCDE_FP000001").attributes).toHaveProperty("DriveType");
    expect(decode("1AAABCDE_GP000001").attributes).not.toHaveProperty("DriveType");
  });

  test("are found by keys in which an underscore is any character", () => {
    expect(decode("1LLLAA9A_SA000001").attributes["Seats"]).toBe("7");
  });

  test.each(["1", "A", "J", "T"])("are found by keys at which NHTSA's own functions fail: %s", (character) => {
    expect(decode(`1LLLAA9A_P${character}000001`).attributes["PlantCity"]).toBe("LIGONIER");
  });

  test("do not come from formulas of schemas that are not checked yet", () => {
    expect(decode("1AAABC4E_EP000001").attributes).not.toHaveProperty("EngineHP");
  });

  test("are ids where NHTSA has no name", () => {
    expect(decode("1GGNAAAA_EA000001").bodyClass).toBe("999");
  });
});

interface Expected {
  readonly codes: readonly number[];
  readonly text?: unknown;
  readonly suggestedVin?: string;
  readonly possibleValues?: string;
  readonly additionalText?: string;
}

describe("with all of NHTSA's data, the verdict is", () => {
  test.each<[name: string, vin: string, Expected]>([
    ["code 1 for a wrong check digit", "1AAABCDE5EP000001", { codes: [1] }],
    [
      "code 0, with a note, for a wrong check digit that NHTSA exempts",
      "1AAABCDEBEP000001",
      { codes: [0], text: expect.stringMatching(/^0 - .* NOTE: Check Digit Exception - /) },
    ],
    ["code 1 for a VIN that is in the list of exceptions but not exempted", "1AAABCDE0EP000002", { codes: [1] }],
    [
      "code 2 when one character is wrong and one is possible",
      "1AAABCDE6EX000001",
      {
        codes: [2, 14],
        text: "2 - VIN corrected, error in one position; 14 - Unable to provide information for some of the characters in the VIN",
        suggestedVin: "1AAABCDE6EP000001",
        possibleValues: "(11:P)",
        additionalText: "Unused position(s): 11.",
      },
    ],
    [
      "code 3 when one of the possible characters fits the check digit",
      "1AAAXCDE6EP000001",
      {
        codes: [1, 3, 14],
        suggestedVin: "1AAABCDE6EP000001",
        possibleValues: "(5:B)",
        additionalText: "Unused position(s): 5.",
      },
    ],
    [
      "code 4 when none of the possible characters fits the check digit",
      "1AAAXCDE0EP000001",
      {
        codes: [1, 4, 14],
        suggestedVin: "1AAA!CDE0EP000001",
        possibleValues: "(5:BCD)",
        additionalText: "In the Possible values section, A. Unused position(s): 5.",
      },
    ],
    [
      "code 4 with what private variables and schemas to be checked allow",
      "1AAABXDE0EP000001",
      { codes: [1, 4, 14], possibleValues: "(6:CK)" },
    ],
    [
      "code 5 when several characters are wrong",
      "1AAAXCJE9EP000001",
      {
        codes: [5, 14],
        suggestedVin: "1AAA!C!E9EP000001",
        possibleValues: "(5:BCD)(7:_0123456789DE)",
        additionalText: "The error positions are indicated by !. Unused position(s): 5,7.",
      },
    ],
    [
      "code 5 with the characters of keys at which NHTSA's own functions fail",
      "1LLLAA9A0PK000001",
      { codes: [1, 5, 14], possibleValues: "(5:_)(6:_)(11:1ABCDEFGHJT)(13:7)" },
    ],
    ["code 7 for an unknown manufacturer", "1ZZABCDE_EP000001", { codes: [7] }],
    ["code 7 for a manufacturer that is not public yet", "1DDABCDE_EP000001", { codes: [7] }],
    ["code 7 for a manufacturer that is never to be public", "1KKABCDE_EP000001", { codes: [7] }],
    ["code 8 when no pattern matches", "1AAXXXXX_EX000001", { codes: [8] }],
    [
      "code 9 for a glider",
      "1GGGAAAA_EA000001",
      {
        codes: [0, 9, 14],
        additionalText: `Unused position(s): 5,6,7,8,11. ${INCOMPLETE_WARNING}`,
      },
    ],
    [
      "code 10 for an off-road vehicle, whose check digit may be anything",
      "1GGRAAAABEA000001",
      {
        codes: [1, 10, 14],
        text: expect.stringMatching(
          /^1 - .* NOTE: Disregard if this is an off-road vehicle PIN, .*; 10 - [^.]*\.; 14 - /,
        ),
      },
    ],
    [
      "codes 11 and 400 when position 10 is not a year code; schemas of all years then count, and no position is compared",
      "1AAABCDE0UX000001",
      {
        codes: [1, 9, 11, 14, 400],
        suggestedVin: "1AAABCDE0!X000001",
        possibleValues: "",
        additionalText: `Unused position(s): 11. Invalid character(s): 10:U. ${INCOMPLETE_WARNING}`,
      },
    ],
    [
      "code 400 for a letter in the serial number",
      "1AAABCDE0EP00A001",
      {
        codes: [1, 400],
        suggestedVin: "1AAABCDE0EP00!001",
        additionalText: "Invalid character(s): 14:A.",
      },
    ],
    [
      "code 400 beside a correction",
      "1AAABCDEBEX000001",
      {
        codes: [1, 2, 14, 400],
        suggestedVin: "1AAABCDE!EP000001",
        possibleValues: "(11:P)",
        additionalText: "Unused position(s): 11. Invalid character(s): 9:B.",
      },
    ],
    [
      "code 14, but no code 5, for the last characters of a small maker's identifier",
      "1E9TAAAA_F1123456",
      { codes: [0, 14], additionalText: `Unused position(s): 5,6,7,8. ${YEAR_WARNING}` },
    ],
    [
      "a warning for an incomplete vehicle",
      "1HHTVD52_FD000001",
      { codes: [0, 14], additionalText: `Unused position(s): 11. ${INCOMPLETE_WARNING} ${YEAR_WARNING}` },
    ],
  ])("%s", (_, vin, expected) => {
    const { verdict } = decode(vin);

    expect(verdict).toMatchObject(expected);
  });

  test("no longer code 7 once the manufacturer is public", () => {
    expect(decode("1DDABCDE_EP000001", undefined, Date.parse("2027-06-02")).verdict.codes).toEqual([8]);
  });
});

describe("with all of NHTSA's data, the model year", () => {
  test.each<[name: string, vin: string, hint: number | undefined, year: string, codes: readonly number[]]>([
    ["of a car is of the later cycle when position 7 is a letter", "1AAABCDE_EP000001", undefined, "2014", [0]],
    ["of a car is of the cycle with schemas, whatever position 7 says", "1AAABC4E_EP000001", undefined, "2014", [0]],
    ["of a light truck is of the cycle with schemas as well", "1JJABCDE_HP000001", undefined, "1987", [0, 14]],
    ["of a heavy truck is that of the pass with fewer errors", "1BBTVD52_FD000001", undefined, "2015", [0]],
    ["of a heavy truck may be the earlier one", "1BBTVD52_FX000001", undefined, "1985", [0, 14]],
    ["of equally good passes is the later one", "1CCTAAAA_FA000001", undefined, "2015", [8]],
    ["is never more than two years ahead", "1BBTVD52_1D000001", undefined, "2001", [0, 14]],
    ["that the caller names is tried first, with code 12", "1AAABCDE_EP000001", 2016, "2016", [0, 12]],
    ["that the caller names is ignored when nothing is known for it", "1AAABCDE_EP000001", 1990, "2014", [0, 12]],
    ["that the caller names wins when only code 12 is against the other", "1CCTAAAA_FA000001", 1985, "1985", [8]],
    ["that the caller names loses when code 14 is against it", "1BBTVD52_FD000001", 1985, "2015", [0, 12]],
    [
      "that the caller names is the vehicle's when nothing is known for any",
      "1CCTAAAA_FA000001",
      2001,
      "2001",
      [8, 12],
    ],
    ["is the one that NHTSA sets for a descriptor", "1BBTVD51_FD000001", undefined, "2014", [0]],
    ["that NHTSA sets stays, whatever the caller names", "1BBTVD51_FD000001", 2015, "2014", [0, 12]],
    ["that NHTSA sets too far in the future is ignored", "1BBTVD53_FD000001", undefined, "2015", [0]],
  ])("%s", (_, vin, hint, year, codes) => {
    const vehicle = decode(vin, hint);

    expect([vehicle.modelYear, vehicle.verdict.codes]).toEqual([year, codes]);
  });

  test.each([
    ["conclusive for a car", "1AAABCDE_EP000001", ""],
    ["not conclusive for a heavy truck", "1BBTVD52_FD000001", YEAR_WARNING],
    ["conclusive when the later cycle is in the future", "1BBTVD53_1D000001", "Unused position(s): 11."],
    ["conclusive when NHTSA sets it", "1BBTVD51_FD000001", ""],
  ])("is %s", (_, vin, additionalText) => {
    expect(decode(vin).verdict.additionalText).toBe(additionalText);
  });
});
