import { membersOf } from "./pattern-keys.ts";

/**
 * The positions of a VIN that are compared with the characters in patterns: 4 to 8 and 11 to 14. Position 9 is the
 * check digit, and position 10 the year.
 */
export const COMPARED_POSITIONS = [4, 5, 6, 7, 8, 11, 12, 13, 14] as const;

/** The order in which NHTSA lists characters. Its data has no others. */
const ALPHABET = "_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const BITS = 32;
/** Two words of bits for each position. */
const WORDS = 2;
const WORDS_PER_SCHEMA = COMPARED_POSITIONS.length * WORDS;
const FIRST_POSITION = 4;
/** One position of a key: a set, the star or any other character. */
const POSITION = /\[[^\]]*\]|[^]/g;
const NEVER_IN_RANGES = /[IOQ]/g;

/** Bits of one word of a schema. */
interface Bits {
  readonly word: number;
  readonly bits: number;
}

/**
 * Collects the characters that the patterns of each schema name at each position. NHTSA's file lists them by WMI and
 * year (table WMIYearValidChars, 8.8 million rows), but some of those rows are outdated, so they are computed here.
 */
export class CharacterCollector {
  /** For each schema and position, two words with a bit for each character. */
  readonly words: Uint32Array;
  readonly #schemaCount: number;
  /** The keys that were added last. Most patterns with the same keys are adjacent. */
  #keys = "";
  #bits: readonly Bits[] = [];

  constructor(schemaCount: number) {
    this.#schemaCount = schemaCount;
    this.words = new Uint32Array(schemaCount * WORDS_PER_SCHEMA);
  }

  /** Ignores the keys of a schema that no manufacturer uses, and all keys when there is no schema to collect for. */
  add(schema: number | undefined, keys: string): void {
    if (schema === undefined || schema >= this.#schemaCount) {
      return;
    }
    if (keys !== this.#keys) {
      this.#keys = keys;
      this.#bits = bitsOf(keys);
    }
    for (const { word, bits: more } of this.#bits) {
      const place = schema * WORDS_PER_SCHEMA + word;
      this.words[place] = (this.words[place] ?? 0) | more;
    }
  }
}

/**
 * The characters that the patterns of these schemas name at each position. At a position for which they name none,
 * every character is allowed.
 */
export class ValidCharacters {
  readonly #words = new Uint32Array(WORDS_PER_SCHEMA);

  constructor(words: Uint32Array, schemas: readonly number[]) {
    for (const schema of schemas) {
      for (let word = 0; word < WORDS_PER_SCHEMA; word++) {
        this.#words[word] = (this.#words[word] ?? 0) | (words[schema * WORDS_PER_SCHEMA + word] ?? 0);
      }
    }
  }

  /** @param place an index of {@link COMPARED_POSITIONS}. */
  allows(place: number, character: string): boolean {
    return this.#allowsAny(place) || this.#has(place, ALPHABET.indexOf(character));
  }

  /** All characters of a position, in NHTSA's order. */
  at(place: number): string {
    return Array.from(ALPHABET)
      .filter((_, bit) => this.#has(place, bit))
      .join("");
  }

  #allowsAny(place: number): boolean {
    return this.#words[place * WORDS] === 0 && this.#words[place * WORDS + 1] === 0;
  }

  #has(place: number, bit: number): boolean {
    return (((this.#words[place * WORDS + Math.floor(bit / BITS)] ?? 0) >>> (bit % BITS)) & 1) === 1;
  }
}

function bitsOf(keys: string): Bits[] {
  const positions = keys.toUpperCase().match(POSITION) ?? [];
  return positions.flatMap((text, index) => {
    const place = COMPARED_POSITIONS.findIndex((position) => position === index + FIRST_POSITION);
    const bits = Array.from(charactersOf(text), (character) => ALPHABET.indexOf(character)).filter((bit) => bit >= 0);
    return place < 0
      ? []
      : bits.map((bit) => ({ word: place * WORDS + Math.floor(bit / BITS), bits: 1 << (bit % BITS) }));
  });
}

/** The characters that one position of a key names. To NHTSA, a range does not contain I, O and Q; a list may. */
function charactersOf(text: string): string {
  if (text === "#") {
    return "0123456789";
  }
  return text.includes("-") ? membersOf(text).replaceAll(NEVER_IN_RANGES, "") : text;
}
