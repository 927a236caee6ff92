import { expect, test } from "vitest";
import type { Place } from "../../src/page/fragment.ts";
import { parseFragment, toFragment } from "../../src/page/fragment.ts";

const VIN = "1XPWD40X1ED215307";
const NOWHERE: Place = { tab: "look-up", vin: "", year: "" };

test.each<[string, Place]>([
  ["", NOWHERE],
  ["#look-up", NOWHERE],
  [`#${VIN}`, { ...NOWHERE, vin: VIN }],
  [`#${VIN}/2014`, { ...NOWHERE, vin: VIN, year: "2014" }],
  [`#${VIN}/soon`, { ...NOWHERE, vin: VIN }],
  ["#<script>", { ...NOWHERE, vin: "<script>" }],
  ["#%E0%A4%A", NOWHERE],
])("%j is read", (fragment, place) => {
  expect(parseFragment(fragment)).toEqual(place);
});

test.each<Place>([NOWHERE, { ...NOWHERE, vin: VIN }, { ...NOWHERE, vin: VIN, year: "2014" }])(
  "what is written is read again",
  (place) => {
    expect(parseFragment(toFragment(place))).toEqual(place);
  },
);

test("a long text is cut", () => {
  expect(parseFragment(`#${"A".repeat(1_000)}`).vin).toHaveLength(40);
});
