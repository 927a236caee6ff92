import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SnapshotSource } from "../../src/snapshot/snapshot-source.ts";
import { isDecoded, type Decode } from "../../src/vehicle/vehicle.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { unpackBundledSnapshot } from "./unpacked-snapshot.ts";
import { directoryWithSnapshot } from "../support/shared.ts";

const YEAR_WARNING = "The Model Year decoded for this VIN may be incorrect.";

let source: SnapshotSource;

beforeAll(async () => {
  source = await unpackBundledSnapshot(await directoryWithSnapshot());
});

afterAll(async () => {
  await source[Symbol.asyncDispose]();
});

function decode(vin: string, modelYear?: number): Promise<Decode> {
  return source.decode({ vin: parseVin(vin), modelYear }, AbortSignal.timeout(250_000));
}

describe("the year", () => {
  test("of a heavy truck is that of the better pass, whatever the character at position 7", async () => {
    const vehicle = await decode("1XPWD40X1ED215307");

    expect(vehicle).toMatchObject({ make: "PETERBILT", model: "388", modelYear: "2014", bodyClass: "Truck-Tractor" });
    expect(vehicle.verdict.additionalText).toContain(YEAR_WARNING);
  });

  test("has no warning when it is conclusive", async () => {
    const vehicle = await decode("1XP5DB9X7YN526158");

    expect(vehicle.modelYear).toBe("2000");
    expect(vehicle.verdict.additionalText).toBe("");
  });

  test("is the caller's when that is one of the two possible years", async () => {
    const vehicle = await decode("1XPWD40X1ED215307", 1984);

    expect(vehicle.modelYear).toBe("1984");
    expect(vehicle.verdict.codes).not.toContain(12);
  });

  test("is the caller's, with code 12, when the VIN says otherwise", async () => {
    const vehicle = await decode("1XPWD40X1ED215307", 2015);

    expect(vehicle).toMatchObject({ model: "388", modelYear: "2015" });
    expect(vehicle.verdict.codes).toEqual([0, 12]);
    expect(vehicle.verdict.text).toContain("12 - Model Year Warning - Model Year entered for decoding with VIN");
  });

  test("may be the first that the service supports, 1980", async () => {
    const vehicle = await decode("ZCGAA1A10AA000123", 1980);

    expect(vehicle.modelYear).toBe("1980");
  });

  test("is not that of a pass without a model when the other pass has one", async () => {
    const vehicle = await decode("1FDAW4CAXJA111111");

    expect(vehicle).toMatchObject({ model: "F-450", modelYear: "2018" });
  });

  test("is the VIN's when nothing is known for the caller's", async () => {
    const vehicle = await decode("WUAAU34248N006164", 1985);

    expect(vehicle).toMatchObject({ model: "R8", modelYear: "2008" });
    expect(vehicle.verdict.codes).toEqual([0, 12]);
  });

  test("is the caller's when nothing is known for any year", async () => {
    const vehicle = await decode("19EAAAA0XEA000001", 2001);

    expect(vehicle.modelYear).toBe("2001");
    expect(vehicle.verdict.codes).toEqual(expect.arrayContaining([8, 12]));
  });

  test("is the one that NHTSA sets for the descriptor, overriding all rules", async () => {
    const withSetYear = await decode("KMHGC4DH0BU123456");
    const withHint = await decode("KMHGC4DH0BU123456", 2011);

    expect(withSetYear.modelYear).toBe("2012");
    expect(withHint.modelYear).toBe("2012");
    expect(withHint.verdict.codes).toContain(12);
  });

  test("is empty, with code 11, when position 10 is not a year code", async () => {
    const vehicle = await decode("12345678901234567");

    expect(vehicle).toMatchObject({ make: "SHERMAN + REILLY", model: "", modelYear: "" });
    expect(vehicle.verdict.codes).toEqual([1, 11, 400]);
    expect(vehicle.verdict.additionalText).toBe("Invalid character(s): 10:0.");
  });
});

describe("the verdict", () => {
  test("says that an unknown manufacturer is not registered and that the VIN could not be decoded", async () => {
    const vehicle = await decode("11111111111111111");

    expect(isDecoded(vehicle)).toBe(false);
    expect(vehicle.attributes).toEqual({ VehicleDescriptor: "11111111*11" });
    expect(vehicle.verdict).toMatchObject({ codes: [7], suggestedVin: "", possibleValues: "" });
    expect(vehicle.verdict.text).toMatch(/^7 - Manufacturer is not registered with NHTSA/);
  });

  test("says that a manufacturer that is not public is not registered", async () => {
    const vehicle = await decode("LRWYGCFS4PC880000");

    expect(isDecoded(vehicle)).toBe(false);
    expect(vehicle.verdict.codes).toContain(7);
  });

  test("says that the check digit is wrong", async () => {
    const vehicle = await decode("1XPWD40X2ED215307");

    expect(vehicle.model).toBe("388");
    expect(vehicle.verdict).toMatchObject({
      codes: [1],
      text: "1 - Check Digit (9th position) does not calculate properly",
    });
  });

  test("says that no detailed data is available", async () => {
    const vehicle = await decode("19EAAAA0XEA000001");

    expect(vehicle).toMatchObject({ make: "SKYLINE CORPORATION", model: "" });
    expect(vehicle.verdict.codes).toContain(8);
  });

  test("warns of off-road vehicles, whose check digit may be wrong", async () => {
    const vehicle = await decode("4XAXH76A0CA000001");

    expect(vehicle.bodyClass).toMatch(/^Off-Road Vehicle/);
    expect(vehicle.verdict.codes).toContain(10);
    expect(vehicle.verdict.text).toContain("10 - Off-Road Vehicle Warning");
  });

  test("exempts batches that were built with a wrong check digit", async () => {
    const excepted = await decode("ZACCJBDT0FPB68110");
    const before = await decode("ZACCJBDT0FPB52183");

    expect(excepted.verdict.codes).toEqual([0]);
    expect(excepted.verdict.text).toContain("NOTE: Check Digit Exception");
    expect(before.verdict.codes).toEqual([1]);
  });

  test("accepts a letter in place of an exempted check digit", async () => {
    const vehicle = await decode("KMTGB4SDDRU228034");

    expect(vehicle.verdict.codes).not.toContain(400);
    expect(vehicle.verdict.codes).not.toContain(1);
  });

  test("warns of gliders", async () => {
    const vehicle = await decode("1XPAGAAA0AD000001");

    expect(vehicle.bodyClass).toBe("Incomplete - Glider");
    expect(vehicle.verdict.codes).toContain(9);
  });

  test("warns of incomplete vehicles", async () => {
    const vehicle = await decode("1FDKF37G5TEB14834");

    expect(vehicle.bodyClass).toBe("Incomplete - Chassis Cab (Single Cab)");
    expect(vehicle.verdict.additionalText).toMatch(/^Incomplete Vehicle Warning - /);
  });
});

describe("the attributes", () => {
  test("have vPIC's names, with numbers and labels as in vPIC", async () => {
    const vehicle = await decode("WVWKG61J34D132375");

    expect(vehicle.attributes).toEqual({
      DisplacementCC: "3189",
      DisplacementCI: "194.604719918",
      DisplacementL: "3.189000",
      Doors: "2",
      EngineCylinders: "6",
      EngineManufacturer: "Volkswagen",
      FuelTypePrimary: "Gasoline",
      MakeID: "482",
      Manufacturer: "VOLKSWAGEN AG",
      ManufacturerId: "1148",
      ModelID: "3141",
      OtherEngineInfo: "50-St./Can. BIN 9/Lev I emission.   Emissions Certification Test Group: 4VWXV03.2220",
      OtherRestraintSystemInfo: "Active Seat Belt",
      PlantCity: "BRATISLAVA",
      PlantCountry: "SLOVAKIA",
      VehicleDescriptor: "WVWKG61J*4D",
      VehicleType: "PASSENGER CAR",
    });
  });

  test("join several notes, each once", async () => {
    const severalNotes = await decode("JN8AS5MT2DW030625");
    const sameNoteTwice = await decode("KMHCG45C71U234399");

    expect(severalNotes.attributes["OtherRestraintSystemInfo"]).toBe(
      "2nd row center 3-point manual belts, 2nd row outboard 3-point manual belts",
    );
    expect(sameNoteTwice.attributes["OtherRestraintSystemInfo"]).toBe("Depowered Airbags");
  });

  test("include NHTSA's default values for motorcycles", async () => {
    const vehicle = await decode("JYAVM01E27A113338");

    expect(vehicle.attributes["GVWR"]).toBe("Class 1A: 3,000 lb or less (1,360 kg or less)");
  });

  test("include the values that the engine model implies", async () => {
    const vehicle = await decode("4V4NC9EJXEN171694");

    expect(vehicle.attributes).toMatchObject({
      EngineModel: "D13",
      EngineCylinders: "6",
      DisplacementL: "12.8",
      FuelTypePrimary: "Diesel",
      GVWR: "Class 8: 33,001 lb and above (14,969 kg and above)",
    });
  });
});

describe("the labels", () => {
  test.each([
    ["9C2RC6901FA000123", "Motorcycle - Touring/Sport Touring"],
    ["4XASEA57XFA220276", "Off-Road Vehicle - All-Terrain Vehicle [ATV] (Motorcycle-Style)"],
    ["MH3DP05AXFA000123", "Motorcycle - Dual-Sport/Adventure/Supermoto/On-Off Road"],
    ["5YNKAAAAXKA000123", "Off-Road Vehicle - Golf Cart"],
  ])("of body classes are today's: %s is a %s", async (vin, bodyClass) => {
    const vehicle = await decode(vin);

    expect(vehicle.bodyClass).toBe(bodyClass);
  });

  test("of attributes are the current ones", async () => {
    const boxer = await decode("4S3BMBC66D3028950");
    const offRoad = await decode("4UF8AXJY8PZ3J8413");

    expect(boxer.attributes["EngineConfiguration"]).toBe("Horizontally Opposed (boxer)");
    expect(offRoad.attributes["VehicleType"]).toBe("OFF-ROAD VEHICLE");
  });

  test("are ids where NHTSA has lost the name", async () => {
    const vehicle = await decode("L5XU10006M1000001");

    expect(vehicle.model).toBe("28450");
  });
});

describe("where data is missing, the decode", () => {
  test.each(["1NXBU4EEXAZ201807", "2HKRM3H78CH514622", "JTDBE32K930219649"])(
    "leaves out the engine's power of %s",
    async (vin) => {
      const { attributes } = await decode(vin);

      expect(attributes).not.toHaveProperty("EngineHP");
      expect(attributes).not.toHaveProperty("EngineHP_to");
      expect(attributes).not.toHaveProperty("EngineKW");
    },
  );

  test.each(["1HGCM82633A004352", "4V4NC9EJXEN171694"])(
    "leaves out the displacement of %s in units other than the stated one",
    async (vin) => {
      const { attributes } = await decode(vin);

      expect(attributes).not.toHaveProperty("DisplacementCC");
      expect(attributes).not.toHaveProperty("DisplacementCI");
    },
  );

  test.each([
    ["5TDGSKFC3RS100013", [0, 14]],
    // Other codes already show that the decode is not clean.
    ["5TDGSKFC4RS100013", [1]],
    ["1T9B5XGBXS8380067", [8]],
  ])("has a code that says so when there is no model: %s", async (vin, codes) => {
    const vehicle = await decode(vin);

    expect(vehicle.model).toBe("");
    expect(vehicle.verdict.codes).toEqual(codes);
  });
});

describe("of several patterns", () => {
  test("the one that NHTSA's database sorts first wins, including stars", async () => {
    const tractor = await decode("3AKJF8FG5RJFB7135");
    const highlander = await decode("5TDBBRCH7M2Z18260");

    expect(tractor.attributes).toMatchObject({ EngineModel: "Cummins X15", FuelTypePrimary: "Diesel" });
    expect(highlander.attributes["Series"]).toBe("AXUH78L");
  });
});

describe("a small maker", () => {
  test("is identified by six characters", async () => {
    const vehicle = await decode("1C9FA3822R1257465");

    expect(vehicle).toMatchObject({ make: "CEI EQUIPMENT COMPANY, INC.", modelYear: "2024", bodyClass: "Trailer" });
    expect(vehicle.attributes["VehicleDescriptor"]).toBe("1C9FA382*R1257");
  });
});

describe("a formula pattern", () => {
  test("takes its value from the VIN", async () => {
    const vehicle = await decode("LDYAA6A0XAA000001");

    expect(vehicle.attributes["EngineCylinders"]).toBe("6");
  });
});

describe("any 17 characters that a VIN may contain", () => {
  const anyCharacter = fc.constantFrom(...Array.from("0123456789ABCDEFGHJKLMNPRSTUVWXYZ"));
  const anyTail = fc.string({ unit: anyCharacter, minLength: 14, maxLength: 14 });
  const anyWmi = fc.oneof(
    fc.constantFrom("1XP", "1FT", "JYA", "4XA", "WVW", "1HG", "1G9", "5N1", "KND", "1M9", "3AK", "2FM"),
    fc.string({ unit: anyCharacter, minLength: 3, maxLength: 3 }),
  );
  const anyYear = fc.option(fc.integer({ min: 1981, max: 2028 }), { nil: undefined });

  test("are decoded without an error, with the same result each time", async () => {
    await fc.assert(
      fc.asyncProperty(anyWmi, anyTail, anyYear, async (wmi, tail, modelYear) => {
        const first = await decode(wmi + tail, modelYear);
        const second = await decode(wmi + tail, modelYear);

        expect(second).toEqual(first);
        expect(first.verdict.codes.length).toBeGreaterThan(0);
        // A 0 without other codes would mean that nothing is missing.
        expect(first.model === "" && first.verdict.codes.join() === "0").toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});
