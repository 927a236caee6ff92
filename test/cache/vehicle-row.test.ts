import { expect, test } from "vitest";
import { ALL_COLUMNS, columnsOf, fromRow, toRow } from "../../src/cache/vehicle-row.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { decodeOf } from "../support/vehicle-samples.ts";

const VIN = parseVin("1XPWD40X1ED215307");
const QUERY = { vin: VIN, modelYear: 2014 };

function rowWith(column: string, cell: unknown): unknown[] {
  return toRow(QUERY, decodeOf(VIN)).map((value, index) => (ALL_COLUMNS[index] === column ? cell : value));
}

test("a row converts back to its decode", () => {
  const row = toRow(QUERY, decodeOf(VIN));

  expect(fromRow(QUERY, row)).toEqual(decodeOf(VIN));
  expect(row).toHaveLength(ALL_COLUMNS.length);
});

test("a row of the basic view has no attributes", () => {
  const { attributes: _, ...basic } = decodeOf(VIN);
  const row = toRow(QUERY, decodeOf(VIN)).slice(0, columnsOf("basic").length);

  expect(fromRow(QUERY, row)).toEqual(basic);
});

test("big integers may be text", () => {
  expect(fromRow(QUERY, rowWith("decoded_at", "1780315200000"))?.decodedAt).toBe(1_780_315_200_000);
});

test.each([
  ["vin", "1XPWD40X1ED215308"],
  ["model_year_hint", 0],
  ["make", null],
  ["model", 388],
  ["body_class", Buffer.from("Truck")],
  ["source", "vPIC"],
  ["decoded_at", "soon"],
  ["decoded_at", null],
  ["decoded_at", 1.5],
  ["decoded_at", -1],
  ["decoded_at", 253_402_300_800_000],
  ["verdict_codes", "x"],
  ["verdict_codes", "1,,2"],
  ["verdict_codes", "1, 2"],
  ["verdict_codes", "-1"],
  ["verdict_codes", "1.5"],
  ["verdict_codes", "99999999999"],
  ["verdict_codes", 0],
  ["verdict_text", null],
  ["attributes", "{"],
  ["attributes", "null"],
  ["attributes", "[]"],
  ["attributes", '{"EngineCylinders":6}'],
])("a row whose %s is %j is a miss", (column, cell) => {
  expect(fromRow(QUERY, rowWith(column, cell))).toBeUndefined();
});
