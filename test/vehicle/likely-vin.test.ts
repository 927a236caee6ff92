import { describe, expect, test } from "vitest";
import { SourceUnavailableError } from "../../src/vehicle/errors.ts";
import { likelyVins, withLikelyVin } from "../../src/vehicle/likely-vin.ts";
import type { Verdict } from "../../src/vehicle/vehicle.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { aVehicle } from "../support/a-vehicle.ts";
import { ScriptedSource } from "../support/scripted-source.ts";

const signal = new AbortController().signal;
const clean = aVehicle().verdict;
const wrongCheckDigit: Verdict = { ...clean, codes: [1], text: "1 - Check Digit" };

describe("likelyVins", () => {
  test.each([
    ["a look-alike", "1XPWD40X1ED21S307"],
    ["a look-alike", "1XPWD4DX1ED215307"],
    ["a swap of neighbours", "1XPWD40X1ED251307"],
    ["a swap of neighbours", "1XPW4D0X1ED215307"],
  ])("has the VIN that was meant when it differs by %s: %s", (_, mistyped) => {
    expect(likelyVins(parseVin(mistyped))).toContain("1XPWD40X1ED215307");
  });

  test("has look-alikes before swaps", () => {
    const likely = likelyVins(parseVin("1XPWD40X1ED21S307"));

    expect(likely[0]).toBe("1XPWD40X1ED215307");
  });

  test("never has the VIN itself", () => {
    expect(likelyVins(parseVin("11111111111111111"))).not.toContain("11111111111111111");
  });
});

describe("withLikelyVin", () => {
  const vin = parseVin("1XPWD40X1ED21S307");

  test("suggests the likely VIN that can be decoded clean", async () => {
    const vpic = new ScriptedSource("vpic", () => aVehicle({ vin, verdict: wrongCheckDigit }));
    const judge = new ScriptedSource("snapshot");

    const decode = await withLikelyVin(vpic, judge).decode({ vin }, signal);

    expect(decode).toMatchObject({ verdict: wrongCheckDigit, likelyVin: "1XPWD40X1ED215307" });
    expect(decode.vin).toBe(vin);
  });

  test("prefers, of several that can be decoded, the one that differs in its serial number only", async () => {
    const swapped = parseVin("1XPWD40X1ED251307");
    const vpic = new ScriptedSource("vpic", () => aVehicle({ vin: swapped, verdict: wrongCheckDigit }));
    const judge = new ScriptedSource("snapshot", (query) =>
      aVehicle({ vin: query.vin, model: query.vin.startsWith("1XPWD40X") ? "388" : "389" }),
    );

    const decode = await withLikelyVin(vpic, judge).decode({ vin: swapped }, signal);

    expect(judge.asked.map(({ vin: asked }) => asked)).toContain("1XPWD04X1ED251307");
    expect(decode.likelyVin).toBe("1XPWD40X1ED215307");
  });

  test.each([
    ["when no likely VIN can be decoded clean", wrongCheckDigit, wrongCheckDigit],
    ["for a VIN without fault", clean, clean],
  ])("guesses nothing %s", async (_, verdict, judged) => {
    const vpic = new ScriptedSource("vpic", () => aVehicle({ vin, verdict }));
    const judge = new ScriptedSource("snapshot", (query) => aVehicle({ vin: query.vin, verdict: judged }));

    const decode = await withLikelyVin(vpic, judge).decode({ vin }, signal);

    expect(decode.likelyVin).toBeUndefined();
  });

  test("gives the decode as it is when nobody can judge", async () => {
    const vpic = new ScriptedSource("vpic", () => aVehicle({ vin, verdict: wrongCheckDigit }));
    const judge = new ScriptedSource("snapshot", () => Promise.reject(new SourceUnavailableError("not unpacked")));

    const decode = await withLikelyVin(vpic, judge).decode({ vin }, signal);

    expect(decode.verdict).toEqual(wrongCheckDigit);
  });
});
