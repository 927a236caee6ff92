import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { LookupResponseSchema, Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import {
  badgeOf,
  freshnessInWords,
  headlineOf,
  partsOf,
  remarksOf,
  sourceInWords,
} from "../../src/page/vehicle-words.ts";

const NOON = Date.UTC(2026, 5, 1, 12);
const vehicle = create(LookupResponseSchema, {
  make: "PETERBILT",
  model: "388",
  modelYear: "2014",
  bodyClass: "Truck-Tractor",
  source: Source.VPIC,
  decodeTime: timestampFromMs(NOON),
});

test("the headline has year, make and model, and the body class beside it", () => {
  expect(headlineOf(vehicle)).toEqual({ name: "2014 PETERBILT 388", body: "Truck-Tractor" });
});

test("unknown values leave no gap in the headline", () => {
  expect(headlineOf(create(LookupResponseSchema, { make: "FORD" }))).toEqual({ name: "FORD", body: "" });
});

test("the texts of a verdict are told apart", () => {
  const text = "0 - VIN decoded clean. Check Digit is correct; 8 - No detailed data; 14 - Some; unknown.";

  expect(remarksOf(text)).toEqual(["VIN decoded clean. Check Digit is correct", "No detailed data", "Some; unknown."]);
  expect(remarksOf("")).toEqual([]);
});

test("a VIN has three parts", () => {
  expect(partsOf("1XPWD40X1ED215307").map(({ name, text }) => [name, text])).toEqual([
    ["WMI", "1XP"],
    ["VDS", "WD40X1"],
    ["VIS", "ED215307"],
  ]);
});

test("an answer of vPIC has its age, and one of the snapshot the date of its data", () => {
  const snapshot = { ...vehicle, source: Source.SNAPSHOT, dataDate: "2026-02-17" };

  expect(sourceInWords(vehicle, NOON + 180_000)).toBe("vPIC, 3 minutes ago");
  expect(sourceInWords(snapshot, NOON)).toBe("NHTSA's data of 17 Feb 2026");
  expect(sourceInWords({ ...snapshot, dataDate: "" }, NOON)).toBe("NHTSA's data");
});

test("an answer says whether it is cached or stale", () => {
  const words = [{}, { cached: true }, { cached: true, stale: true }, { source: Source.SNAPSHOT }].map((changes) =>
    freshnessInWords({ ...vehicle, ...changes }),
  );

  expect(words).toEqual([
    "",
    "from the cache",
    "older answer from the cache, because vPIC does not answer now",
    "decoded by the service itself",
  ]);
});

test.each([
  [[0], "good", "Decoded clean"],
  [[0, 14], "good", "Decoded clean, in part"],
  [[0, 10], "good", "Decoded clean"],
  [[], "doubt", "No verdict"],
  [[10], "doubt", "Off-road vehicle"],
  [[1], "doubt", "Check digit wrong"],
  [[1, 7, 14], "bad", "Manufacturer not registered"],
  [[4, 14], "bad", "Error in one position"],
])("the codes %j are a badge", (codes, tone, words) => {
  expect(badgeOf(codes)).toEqual({ tone, words });
});
