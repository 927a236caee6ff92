import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SnapshotSource } from "../../src/snapshot/snapshot-source.ts";
import type { Decode } from "../../src/vehicle/vehicle.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { unpackBundledSnapshot } from "./unpacked-snapshot.ts";
import { directoryWithSnapshot } from "../support/shared.ts";

/** A real VIN and vPIC's own answer; a dash where it was not recorded. */
interface Fact {
  readonly vin: string;
  readonly make: string;
  readonly model: string;
  readonly modelYear: string;
  readonly bodyClass: string;
  readonly errorCodes: string;
}

/** VINs whose answers differ because NHTSA has changed its data since the snapshot was published. */
const RENAMED_SINCE = ["JYAVM01E27A113338 model: XVS650 (V Star 650) instead of V Star 650"];
/** Codes that need data which the snapshot lacks. */
const UNKNOWABLE_CODES = new Set(["2", "3", "4", "5", "14"]);

let source: SnapshotSource;
let facts: Fact[];
let decodes: Decode[];

beforeAll(async () => {
  source = await unpackBundledSnapshot(await directoryWithSnapshot());
  facts = await readFacts();
  decodes = await Promise.all(
    facts.map((fact) => source.decode({ vin: parseVin(fact.vin) }, AbortSignal.timeout(60_000))),
  );
});

afterAll(async () => {
  await source[Symbol.asyncDispose]();
});

describe("real VINs", () => {
  test("never get an engine's power, which the data has only by engine family", () => {
    const claims = decodes.filter(({ attributes }) => /\bEngine(HP|KW)/.test(Object.keys(attributes).join()));

    expect(claims).toEqual([]);
  });

  test("are numerous enough for a comparison", () => {
    expect(facts.length).toBeGreaterThan(200);
  });

  test.each(["make", "model", "modelYear", "bodyClass"] as const)("have the same %s as in vPIC", (field) => {
    const differences = facts.flatMap((fact, index) => {
      const found = decodes[index]?.[field];
      return found === fact[field] ? [] : [`${fact.vin} ${field}: ${found} instead of ${fact[field]}`];
    });

    expect(differences).toEqual(RENAMED_SINCE.filter((difference) => difference.includes(` ${field}:`)));
  });

  test("have vPIC's error codes, as far as the snapshot can know them", () => {
    const differences = facts.flatMap((fact, index) => {
      const found = comparableCodes(decodes[index]?.verdict.codes.join(",") ?? "", fact);
      const expected = comparableCodes(fact.errorCodes, fact);
      return fact.errorCodes === "-" || found === expected ? [] : [`${fact.vin}: ${found} instead of ${expected}`];
    });

    expect(differences).toEqual([]);
  });
});

/** Leaves out the codes that the snapshot cannot know. If no code remains, the code is 0. */
function comparableCodes(codes: string, fact: Fact): string {
  const hasUnknowable = fact.errorCodes.split(",").some((code) => UNKNOWABLE_CODES.has(code));
  return codes
    .split(",")
    .filter((code) => !UNKNOWABLE_CODES.has(code) && !(hasUnknowable && code === "0"))
    .join(",");
}

async function readFacts(): Promise<Fact[]> {
  const text = await readFile(new URL("./facts.tsv", import.meta.url), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => {
      const [vin = "", make = "", model = "", modelYear = "", bodyClass = "", errorCodes = ""] = line.split("\t");
      return { vin, make, model, modelYear, bodyClass, errorCodes };
    });
}
