/**
 * Compares the decoder with recorded answers, field by field:
 * `node test/bench/agreement.ts [--facts <tsv>] [--answers <jsonl.gz>] [--show <field>]`.
 *
 * - `--facts`: a table with a heading and the columns vin, make, model, model_year, body_class, error_code; `\N` where
 *   an answer is missing.
 * - `--answers`: one JSON object per line with `vin`, `hint` (a model year or null) and `answer`: vPIC's flat names and
 *   their values, an array where there are several.
 * - `--show`: prints each difference in this field, or in every field with `all`.
 */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { RENAMED_LABELS } from "../../src/snapshot/nhtsa-tables.ts";
import type { SnapshotSource } from "../../src/snapshot/snapshot-source.ts";
import { InvalidFieldError } from "../../src/vehicle/errors.ts";
import type { Decode } from "../../src/vehicle/vehicle.ts";
import { parseVin, type Vin } from "../../src/vehicle/vin.ts";
import { unpackBundledSnapshot } from "../snapshot/unpacked-snapshot.ts";

type Answer = Readonly<Record<string, string | readonly string[]>>;

interface Expectation {
  readonly vin: string;
  readonly hint: number | null;
  readonly answer: Answer;
}

type Outcome = "equal" | "explained" | "different" | "missing" | "extra";

const FACT_FIELDS = ["Make", "Model", "ModelYear", "BodyClass", "ErrorCode"];
const MISSING = String.raw`\N`;
/** Numbers that accompany a name. Recorded answers leave them out. */
const IDS: ReadonlySet<string> = new Set(["MakeID", "ManufacturerId", "ModelID"]);
/** Left out because the embedded data has them by engine family, or rounded. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  "EngineHP",
  "EngineHP_to",
  "EngineKW",
  "DisplacementCC",
  "DisplacementCI",
  "DisplacementL",
]);
/** vPIC's web service cuts off the decimals of a quotient earlier than PostgreSQL. */
const RELATIVE_PRECISION = 1e-9;

const { values: options } = parseArgs({
  options: { facts: { type: "string" }, answers: { type: "string" }, show: { type: "string" } },
});

await using source = await unpackBundledSnapshot();
if (options.facts !== undefined) {
  await compare("facts", await readFacts(options.facts), source);
}
if (options.answers !== undefined) {
  await compare("answers", await readAnswers(options.answers), source);
}

async function compare(title: string, expectations: readonly Expectation[], source: SnapshotSource): Promise<void> {
  const tallies = new Map<string, Record<Outcome, number>>();
  let refused = 0;
  for (const { vin, hint, answer } of expectations) {
    const parsed = parseOrRefuse(vin);
    if (parsed === undefined) {
      refused++;
      continue;
    }
    const query = { vin: parsed, modelYear: hint ?? undefined };
    const decode = await source.decode(query, AbortSignal.timeout(60_000));
    const found = toFlat(decode);
    const fields = title === "facts" ? Object.keys(answer) : Object.keys({ ...answer, ...found });
    for (const field of fields.filter((field) => !IDS.has(field))) {
      const tally = tallies.get(field) ?? { equal: 0, explained: 0, different: 0, missing: 0, extra: 0 };
      tallies.set(field, tally);
      const outcome = judge(field, answer[field] ?? "", found[field] ?? "", decode);
      tally[outcome]++;
      if (outcome !== "equal" && (options.show === field || options.show === "all")) {
        const line = `${field}: "${found[field] ?? ""}" instead of "${String(answer[field] ?? "")}"`;
        console.log(`${outcome}: ${vin} ${hint ?? ""} ${line}`);
      }
    }
  }
  console.log(`\n${title}: ${expectations.length} VINs, ${refused} of them refused as not valid`);
  console.table(Object.fromEntries(tallies));
}

function toFlat(decode: Decode): Record<string, string> {
  return {
    Make: decode.make,
    Model: decode.model,
    ModelYear: decode.modelYear,
    BodyClass: decode.bodyClass,
    ErrorCode: decode.verdict.codes.join(","),
    ...decode.attributes,
  };
}

function parseOrRefuse(vin: string): Vin | undefined {
  try {
    return parseVin(vin);
  } catch (error) {
    if (error instanceof InvalidFieldError) {
      return undefined;
    }
    throw error;
  }
}

function judge(field: string, expected: string | readonly string[], found: string, decode: Decode): Outcome {
  if (isSame(field, expected, found)) {
    return "equal";
  }
  if (isExplained(field, String(expected), found, decode)) {
    return "explained";
  }
  if (found === "") {
    return "missing";
  }
  return expected === "" ? "extra" : "different";
}

function isSame(field: string, expected: string | readonly string[], found: string): boolean {
  if (typeof expected !== "string") {
    // Several values are joined in no fixed order, and each is given once.
    const notes = [...new Set(expected.map(trimmed))];
    return found.length === notes.join(", ").length && notes.every((note) => found.includes(note));
  }
  if (field.startsWith("Displacement") && found !== "") {
    return Math.abs(Number(found) - Number(expected)) <= RELATIVE_PRECISION * Number(expected);
  }
  return trimmed(expected) === found;
}

function isExplained(field: string, expected: string, found: string, decode: Decode): boolean {
  if (found === "") {
    return LEFT_OUT.has(field);
  }
  if (field === "ErrorCode") {
    // Positions cannot be compared without all patterns; the recorded answers have no excepted check digits.
    const isBeyondData = /(^|,)[2-5](,|$)/.test(expected) && /^0(,|$)/.test(found);
    return isBeyondData || (expected === "1" && decode.verdict.text.includes("Check Digit Exception"));
  }
  return (
    isRenamed("BodyStyle", expected, found) ||
    isRenamed("EngineConfiguration", expected, found) ||
    isRenamed("VehicleType", expected, found)
  );
}

function isRenamed(table: string, expected: string, found: string): boolean {
  return Object.entries(RENAMED_LABELS[table] ?? {}).some(
    ([old, current]) =>
      (old === expected && current === found) || (old.toUpperCase() === expected && current.toUpperCase() === found),
  );
}

function trimmed(text: string): string {
  return text.replaceAll(/[\t\r\n]/g, " ").trim();
}

async function readFacts(path: string): Promise<Expectation[]> {
  const [, ...lines] = (await readFile(path, "utf8")).trimEnd().split("\n");
  return lines.map((line) => {
    const [vin = "", ...values] = line.split("\t");
    const known = FACT_FIELDS.flatMap((field, index) => {
      const value = values[index] ?? MISSING;
      return value === MISSING ? [] : [[field, value] as const];
    });
    return { vin, hint: null, answer: Object.fromEntries(known) };
  });
}

async function readAnswers(path: string): Promise<Expectation[]> {
  const lines = gunzipSync(await readFile(path))
    .toString("utf8")
    .trimEnd()
    .split("\n");
  return lines.map((line): Expectation => JSON.parse(line));
}
