import { expect, test } from "vitest";

import { readErrorCodes } from "../../src/vpic/error-codes.ts";

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
