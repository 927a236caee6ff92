/**
 * Measures how often `likely_vin` is right: spoils each clean VIN of a table three times in each of five ways, the same
 * in each run, and decodes the results with the embedded snapshot.
 *
 *   npx --no-install node test/bench/guesses.ts vins.tsv
 *
 * The table is tab-separated, with a header line and the columns `vin` and `error_code`. A VIN is clean when its code
 * is 0. A VIN with an I, O or Q is refused; then the VIN that the message suggests counts.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSnapshot } from "../../src/snapshot/snapshot-source.ts";
import { InvalidFieldError } from "../../src/vehicle/errors.ts";
import { withLikelyVin } from "../../src/vehicle/likely-vin.ts";
import type { VehicleSource } from "../../src/vehicle/vehicle.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { seeded } from "../support/seeded.ts";

const SEED = 1;
const ROUNDS = 3;
const CHARACTERS = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ";
const CHECK_DIGITS = "0123456789X";
const CHECK_DIGIT_INDEX = 8;
const LOOK_ALIKES = new Map(
  ["S5", "Z2", "B8", "G6", "D0", "L1", "T7", "UV"].flatMap(([a = "", b = ""]) => [
    [a, b],
    [b, a],
  ]),
);
const NOT_ALLOWED = new Map([
  ["1", "I"],
  ["0", "OQ"],
]);

/** Returns a number from 0 to below `limit`. */
type Random = (limit: number) => number;

/** Spoils a VIN. Returns undefined when this way does not apply to it. */
type Spoil = (vin: string, random: Random) => string | undefined;

const WAYS: Readonly<Record<string, Spoil>> = {
  "look-alike": (vin, random) => replaceAt(vin, pick(indexesOf(vin, LOOK_ALIKES), random), LOOK_ALIKES, random),
  "neighbours swapped": (vin, random) => {
    const index = pick(
      [...Array(vin.length - 1).keys()].filter((index) => vin.charAt(index) !== vin.charAt(index + 1)),
      random,
    );
    return index === undefined
      ? undefined
      : vin.slice(0, index) + vin.charAt(index + 1) + vin.charAt(index) + vin.slice(index + 2);
  },
  "any other character": (vin, random) => otherAt(vin, random(vin.length), CHARACTERS, random),
  "check digit": (vin, random) => otherAt(vin, CHECK_DIGIT_INDEX, CHECK_DIGITS, random),
  "I, O or Q typed": (vin, random) => replaceAt(vin, pick(indexesOf(vin, NOT_ALLOWED), random), NOT_ALLOWED, random),
};

function indexesOf(vin: string, replacements: ReadonlyMap<string, string>): number[] {
  return Array.from(vin).flatMap((character, index) => (replacements.has(character) ? [index] : []));
}

function replaceAt(
  vin: string,
  index: number | undefined,
  replacements: ReadonlyMap<string, string>,
  random: Random,
): string | undefined {
  return index === undefined ? undefined : otherAt(vin, index, replacements.get(vin.charAt(index)) ?? "", random);
}

function otherAt(vin: string, index: number, characters: string, random: Random): string | undefined {
  const character = pick(
    Array.from(characters).filter((character) => character !== vin.charAt(index)),
    random,
  );
  return character === undefined ? undefined : vin.slice(0, index) + character + vin.slice(index + 1);
}

function pick<T>(choices: readonly T[], random: Random): T | undefined {
  return choices[random(choices.length)];
}

function seededRandom(seed: number): Random {
  const random = seeded(seed);
  return (limit) => Math.floor(random() * limit);
}

async function guessAt(typed: string, source: VehicleSource): Promise<string | undefined> {
  try {
    const decode = await source.decode({ vin: parseVin(typed) }, new AbortController().signal);
    return decode.likelyVin;
  } catch (error) {
    if (error instanceof InvalidFieldError) {
      return followMessage(typed, error.description);
    }
    throw error;
  }
}

/** The VIN of a caller who follows the message. */
function followMessage(typed: string, description: string): string | undefined {
  const [, position, meant] = /at position (\d+) .*; (.) is likely meant$/.exec(description) ?? [];
  const index = Number(position) - 1;
  return meant === undefined ? undefined : typed.slice(0, index) + meant + typed.slice(index + 1);
}

async function readCleanVins(path: string): Promise<string[]> {
  const text = await readFile(path, "utf8");
  const [header = [], ...rows] = text
    .trimEnd()
    .split("\n")
    .map((line) => line.split("\t"));
  const [vin, errorCode] = ["vin", "error_code"].map((column) => header.indexOf(column));
  return rows.filter((row) => row[errorCode ?? -1] === "0").map((row) => row[vin ?? -1] ?? "");
}

async function measureGuesses(path: string, print: (line: string) => void): Promise<void> {
  const vins = await readCleanVins(path);
  const dataDir = await mkdtemp(join(tmpdir(), "guesses-bench-"));
  try {
    await using snapshot = openSnapshot({ dataDir, logger: silentLogger });
    await snapshot.whenSettled();
    const source = withLikelyVin(snapshot, snapshot);
    print(`${vins.length} clean VINs, each spoilt ${ROUNDS} times; data to ${JSON.stringify(snapshot.status())}`);
    print("way                  spoilt  right  wrong  silent  right of guesses");
    for (const [way, spoil] of Object.entries(WAYS)) {
      const random = seededRandom(SEED);
      const counts = { right: 0, wrong: 0, silent: 0 };
      for (const vin of vins.flatMap((vin) => Array<string>(ROUNDS).fill(vin))) {
        const typed = spoil(vin, random);
        const guess = typed === undefined ? undefined : await guessAt(typed, source);
        if (typed !== undefined) {
          counts[guess === undefined ? "silent" : guess === vin ? "right" : "wrong"]++;
        }
      }
      print(toRow(way, counts));
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

function toRow(way: string, { right, wrong, silent }: { right: number; wrong: number; silent: number }): string {
  const share = right + wrong === 0 ? "-" : `${((100 * right) / (right + wrong)).toFixed(1)} %`;
  const cells = [right + wrong + silent, right, wrong, silent].map((count) => String(count).padStart(7));
  return `${way.padEnd(20)}${cells.join("")}  ${share}`;
}

const [path] = process.argv.slice(2);
if (path === undefined) {
  throw new Error("name a table of VINs: node test/bench/guesses.ts vins.tsv");
}
await measureGuesses(path, (line) => console.log(line));
