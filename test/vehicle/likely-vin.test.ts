import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SourceUnavailableError } from "../../src/vehicle/errors.ts";
import { withLikelyVin } from "../../src/vehicle/likely-vin.ts";
import type { Decode, VehicleQuery, VehicleSource } from "../../src/vehicle/vehicle.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import type { SnapshotSource } from "../../src/snapshot/snapshot-source.ts";
import { unpackBundledSnapshot } from "../snapshot/unpacked-snapshot.ts";
import { aVehicle } from "../support/a-vehicle.ts";
import { ScriptedSource } from "../support/scripted-source.ts";
import { directoryWithSnapshot } from "../support/shared.ts";

const MEANT = "1XPWD40X1ED215307";
const { verdict } = aVehicle();
const NO_MODEL: Partial<Decode> = { model: "", verdict: { ...verdict, codes: [1, 14] } };
const NO_MAKER: Partial<Decode> = { make: "", model: "", verdict: { ...verdict, codes: [1, 7] } };

/** Knows the models of these VINs, and none of any other. */
function knowing(...vins: readonly string[]): ScriptedSource {
  return new ScriptedSource("snapshot", ({ vin }) => aVehicle({ vin, ...(vins.includes(vin) ? {} : NO_MODEL) }));
}

async function likelyVinOf(typed: string, decoded: Partial<Decode>, judge: VehicleSource): Promise<string | undefined> {
  const vin = parseVin(typed);
  const source = new ScriptedSource("vpic", (query: VehicleQuery) => aVehicle({ vin: query.vin, ...decoded }));
  const decode = await withLikelyVin(source, judge).decode({ vin }, new AbortController().signal);
  expect(decode).toEqual(aVehicle({ vin, ...decoded, likelyVin: decode.likelyVin }));
  return decode.likelyVin;
}

test.each([
  ["another character", "1XPWE40X1ED215307", NO_MODEL],
  ["a look-alike", "1XPWD4DX1ED215307", NO_MODEL],
  ["a swap of neighbours", "1XPWD04X1ED215307", NO_MODEL],
  ["a swap with the check digit", "1XPWD401XED215307", NO_MODEL],
  ["a manufacturer that does not exist", "1XBWD40X1ED215307", NO_MAKER],
])("guesses the VIN that was meant when it differs by %s: %s", async (_, typed, decoded) => {
  expect(await likelyVinOf(typed, decoded, knowing(MEANT))).toBe(MEANT);
});

test.each([
  [
    "the model is known: a swap in the serial number fits as well as any",
    "1XPWD40X1ED251307",
    { verdict: { ...verdict, codes: [1] } },
  ],
  ["the check digit is right", MEANT, { model: "", verdict: { ...verdict, codes: [14] } }],
  ["another manufacturer would fit, but this one is known", "1XBWD40X1ED215307", NO_MODEL],
  ["the mistake is in the serial number", "1XPWD40X1ED215308", NO_MODEL],
])("guesses nothing when %s", async (_, typed, decoded) => {
  expect(await likelyVinOf(typed, decoded, knowing(MEANT))).toBeUndefined();
});

test.each([
  ["of one manufacturer", "1XPWE49X1ED215307"],
  ["of two manufacturers", "18PWE40X1ED215307"],
])("guesses nothing when two VINs %s fit", async (_, other) => {
  const judge = knowing(MEANT, other);

  expect(await likelyVinOf("1XPWE40X1ED215307", NO_MODEL, judge)).toBeUndefined();
  expect(judge.asked.map(({ vin }) => vin)).toEqual(expect.arrayContaining([MEANT, other]));
});

test.each([
  ["of European makers", "WVWZZZ3BZWE689725"],
  ["of Asian makers", "JMZBK12Z501123456"],
  ["of small makers", "1T9B5XGBXS8380067"],
])("guesses nothing for VINs %s, and asks no judge", async (_, typed) => {
  const judge = new ScriptedSource("snapshot");

  expect(await likelyVinOf(typed, NO_MODEL, judge)).toBeUndefined();
  expect(judge.asked).toEqual([]);
});

test("guesses nothing when the judge cannot answer", async () => {
  const judge = new ScriptedSource("snapshot", () => Promise.reject(new SourceUnavailableError("not unpacked")));

  expect(await likelyVinOf("1XPWE40X1ED215307", NO_MODEL, judge)).toBeUndefined();
  expect(judge.asked).toHaveLength(1);
});

test("guesses for many callers at once let other work run in between", async () => {
  const source = withLikelyVin(new ScriptedSource("vpic", ({ vin }) => aVehicle({ vin, ...NO_MODEL })), knowing(MEANT));
  const turnsAtAnswers: number[] = [];
  let turns = 0;
  const countTurn = (): void => {
    turns++;
    next = setImmediate(countTurn);
  };
  let next = setImmediate(countTurn);

  const decode = async (): Promise<void> => {
    const { likelyVin } = await source.decode({ vin: parseVin("1XPWE40X1ED215307") }, new AbortController().signal);
    expect(likelyVin).toBe(MEANT);
    turnsAtAnswers.push(turns);
  };
  await Promise.all(Array.from({ length: 20 }, decode));
  clearImmediate(next);

  expect(new Set(turnsAtAnswers).size).toBe(20);
});

describe("with the embedded data", () => {
  let snapshot: SnapshotSource;

  beforeAll(async () => {
    snapshot = await unpackBundledSnapshot(await directoryWithSnapshot());
  });

  afterAll(async () => {
    await snapshot[Symbol.asyncDispose]();
  });

  test.each([
    ["a mistyped model", "19UVA66214A009530", "19UUA66214A009530"],
    ["a mistyped manufacturer", "1BHHC16X61S185147", "1B7HC16X61S185147"],
  ])("the guess at %s is right: %s", async (_, typed, meant) => {
    const decode = await withLikelyVin(snapshot, snapshot).decode(
      { vin: parseVin(typed) },
      new AbortController().signal,
    );

    expect(decode.likelyVin).toBe(meant);
  });

  test.each([
    ["an engine that the model does not have", "1FBNE3BE1CDB23596"],
    ["a swap in the serial number", "2T1BURHE0JC060752"],
    ["a wrong check digit alone", "1XPWD40X2ED215307"],
    ["a European VIN", "WVWZZZ3BZWE689725"],
  ])("there is no guess for %s: %s", async (_, typed) => {
    const decode = await withLikelyVin(snapshot, snapshot).decode(
      { vin: parseVin(typed) },
      new AbortController().signal,
    );

    expect(decode.likelyVin).toBeUndefined();
  });
});
