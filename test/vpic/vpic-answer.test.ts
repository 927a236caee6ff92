import { expect, test } from "vitest";
import { isDecoded } from "../../src/vehicle/vehicle.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { findDecode, readErrorCodes, readRows } from "../../src/vpic/vpic-answer.ts";
import { VpicError } from "../../src/vpic/vpic-error.ts";
import { toEnvelope, toEnvelopeOf2018, toRow, UNKNOWN_FACTS } from "../support/fake-vpic-answers.ts";

const VIN = parseVin("1XPWD40X1ED215307");
const OTHER_VIN = parseVin("5YJSA3DS0EF000001");
const ASKED = { vin: VIN, modelYear: undefined };

function decodeOf(row: Readonly<Record<string, unknown>>) {
  return findDecode(readRows(JSON.stringify({ Results: [row] })), VIN, 1_000);
}

test("fields are trimmed, and the rest becomes attributes, known or not", () => {
  const decode = decodeOf({
    ...toRow(ASKED, { Make: "VOLVO TRUCK ", Model: " VNL", BodyClass: "", VehicleType: "TRUCK " }),
    NewVariable: "new",
    Count: 3,
  });

  expect(decode).toMatchObject({ vin: VIN, make: "VOLVO TRUCK", model: "VNL", bodyClass: "", source: "vpic" });
  expect(decode?.attributes).toMatchObject({ VehicleType: "TRUCK", NewVariable: "new", Count: "3", MakeID: "444" });
});

test("a value that is missing or does not apply is not an attribute", () => {
  const decode = decodeOf({ ...toRow(ASKED, {}), Doors: " ", Odd: null, Nested: { a: 1 } });

  expect(Object.values(decode?.attributes ?? {})).not.toContain("Not Applicable");
  expect(decode?.attributes).not.toHaveProperty("Doors");
  expect(decode?.attributes).not.toHaveProperty("Odd");
  expect(decode?.attributes).not.toHaveProperty("Nested");
});

test("fields with their own member are not attributes", () => {
  const decode = decodeOf(
    toRow(ASKED, { SuggestedVIN: "1XP!", PossibleValues: "(4:K)", AdditionalErrorText: "unused" }),
  );

  const own = ["VIN", "Make", "Model", "ModelYear", "BodyClass", "ErrorCode", "ErrorText", "SuggestedVIN"];
  for (const name of [...own, "PossibleValues", "AdditionalErrorText"]) {
    expect(decode?.attributes).not.toHaveProperty(name);
  }
  expect(decode?.verdict).toEqual({
    codes: [0],
    text: "0 - VIN decoded clean. Check Digit (9th position) is correct",
    suggestedVin: "1XP!",
    possibleValues: "(4:K)",
    additionalText: "unused",
  });
});

test("a variable named __proto__ is left out", () => {
  const row = JSON.stringify(toRow(ASKED, {})).replace("{", '{"__proto__":"polluted","constructor":"kept",');

  const decode = findDecode(readRows(`{"Results":[${row}]}`), VIN, 1_000);

  expect(Object.getPrototypeOf(decode?.attributes)).toBe(Object.prototype);
  expect(Object.keys(decode?.attributes ?? {})).not.toContain("__proto__");
  expect(Object.entries(decode?.attributes ?? {})).toContainEqual(["constructor", "kept"]);
});

test("a VIN that vPIC does not know is not decoded; codes and text are kept", () => {
  const decode = decodeOf(toRow(ASKED, UNKNOWN_FACTS));

  expect(decode).toMatchObject({ make: "", model: "", modelYear: "", attributes: {} });
  expect(decode?.verdict.codes).toEqual([7, 14]);
  expect(decode?.verdict.text).toContain("; Please contact the manufacturer directly");
  expect(decode === undefined || isDecoded(decode)).toBe(false);
});

test.each(["", "0", "0,14"])("a row without a vehicle and with the codes %j is not an answer", (codes) => {
  const decode = decodeOf(toRow(ASKED, { ...UNKNOWN_FACTS, ErrorCode: codes, ErrorText: "" }));

  expect(decode).toBeUndefined();
});

test.each([
  { bytes: 4_096, expected: [VIN, OTHER_VIN] },
  { bytes: 4_097, expected: [OTHER_VIN] },
])("a row with a field of $bytes bytes leaves $expected", ({ bytes, expected }) => {
  const rows = [
    toRow(ASKED, { AdditionalErrorText: `\u{e9}${"x".repeat(bytes - 2)}` }),
    toRow({ ...ASKED, vin: OTHER_VIN }, {}),
  ];

  const read = readRows(JSON.stringify(toEnvelope("", rows)));

  expect(read.map((row) => row.VIN)).toEqual(expected);
});

test.each([
  { fields: 15, expected: [VIN, OTHER_VIN] },
  { fields: 16, expected: [OTHER_VIN] },
])("a row with $fields more fields of 4 KB leaves $expected", ({ fields, expected }) => {
  const large = Object.fromEntries(Array.from({ length: fields }, (_, index) => [`Field${index}`, "x".repeat(4_096)]));
  const rows = [toRow(ASKED, large), toRow({ ...ASKED, vin: OTHER_VIN }, {})];

  const read = readRows(JSON.stringify(toEnvelope("", rows)));

  expect(read.map((row) => row.VIN)).toEqual(expected);
});

test("an answer of 2018 is read: the code contains the text, and the count is that of variables", () => {
  const body = JSON.stringify(toEnvelopeOf2018(`VIN(s): ${VIN}`, [toRow(ASKED, {})]));

  const decode = findDecode(readRows(body), VIN, 1_000);

  expect(decode).toMatchObject({ make: "PETERBILT", verdict: { codes: [0] } });
  expect(decode?.verdict.text).toBe("0 - VIN decoded clean. Check Digit (9th position) is correct");
});

test("a row is found by its VIN in any place, case and white space", () => {
  const rows = [
    toRow({ ...ASKED, vin: OTHER_VIN }, { Make: "TESLA" }),
    toRow({ ...ASKED, vin: ` ${VIN.toLowerCase()} ` }, {}),
  ];

  const decode = findDecode(readRows(JSON.stringify(toEnvelope("", rows))), VIN, 1_000);

  expect(decode).toMatchObject({ vin: VIN, make: "PETERBILT" });
});

test("a row for another VIN is not an answer", () => {
  const decode = findDecode(readRows(JSON.stringify(toEnvelope("", [toRow(ASKED, {})]))), OTHER_VIN, 1_000);

  expect(decode).toBeUndefined();
});

test.each(["Make", "Model", "ModelYear", "ErrorCode", "VIN"])("a row without %s is not of the known shape", (name) => {
  const row = Object.fromEntries(Object.entries(toRow(ASKED, {})).filter(([key]) => key !== name));

  const rows = readRows(JSON.stringify({ Results: [row, toRow({ ...ASKED, vin: OTHER_VIN }, {})] }));

  expect(rows.map(({ VIN }) => VIN)).toEqual([OTHER_VIN]);
});

test.each(["", "<html>", '{"Results":[', "null", "[]", '"x"', "{}", '{"Results":null}', '{"results":[]}'])(
  "%j is not an answer of vPIC",
  (body) => {
    expect(() => readRows(body)).toThrow(VpicError);
  },
);

test.each([
  ["0", [0]],
  ["5,14", [5, 14]],
  ["14, 5", [5, 14]],
  ["1,7,400", [1, 7, 400]],
  ["5,5", [5]],
  ["", []],
  ["none", []],
  ["0 - VIN decoded clean. Check Digit (9th position) is correct", [0]],
  ["1 - Check Digit (9th position) does not calculate properly; 5 - VIN has errors in few positions", [1, 5]],
  ["7 - Manufacturer is not registered for use on U.S roads; Please contact the manufacturer directly", [7]],
  ["11 - Incorrect Model Year - Position 10 does not match valid model year codes (I, O, Q, U, Z, 0).", [11]],
])("ErrorCode %j is %j", (errorCode, expected) => {
  const codes = readErrorCodes(errorCode);

  expect(codes).toEqual(expected);
});
