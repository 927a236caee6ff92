import { expect, test } from "vitest";
import { toCallerAddress } from "../../src/access/caller-address.ts";

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["::FFFF:c000:207", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:DB8:0001:2::6", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["::ffff:1.2.3", "::ffff:1.2.3"],
  ["2001:db8:0:0::/64", "2001:db8:0:0::/64"],
  ["unknown", "unknown"],
  ["", ""],
])("limits for %s are kept for %s", (address, expected) => {
  expect(toCallerAddress(address)).toBe(expected);
});
