/**
 * The keys of patterns, such as `*F[A-D]**|E`, in a form that is fast to match: for each restricted position, the set
 * of allowed characters.
 */
export interface PatternKeys {
  /** The steps of key i begin at `stepStart[i]` and end before `stepStart[i + 1]`. */
  readonly stepStart: Uint32Array;
  /** Each step is one test: the index of a set in the members, times {@link POSITIONS}, plus a position in the key. */
  readonly steps: Uint32Array;
  /** For each set and each character, 1 when it is a member. */
  readonly members: Uint8Array;
  /** The rank of each key in the order of {@link sortingForm}; equal keys share one. */
  readonly rank: Uint32Array;
}

/** Keys cover positions 4 to 17 of a VIN, with a bar in place of the check digit. */
const FIRST_POSITION = 3;
const KEY_LENGTH = 14;
const BAR = 5;
/** A power of two, at least the length of a key. */
const POSITIONS = 16;
const POSITION_BITS = 4;
const POSITION_MASK = POSITIONS - 1;
/** Digits and the letters A to Z. */
const CHARACTERS = 36;
const CODE_OF_0 = 48;
const CODE_OF_9 = 57;
const CODE_OF_A = 65;
const DIGITS = 10;
/** One position of a key: a set, the star or any other character. */
const POSITION = /\[[^\]]*\]|[^]/g;
const RANGE = /(.)-(.)/g;

/** Collects keys, each once. */
export class KeyCollector {
  readonly #places = new Map<string, number>();
  readonly #sets: string[] = [];
  #lastKeys: string | undefined;
  #lastPlace: number | undefined;
  /** The indexes of sets by the text of one position, such as `[A-D]`. */
  readonly #setPlaces = new Map<string, number>();
  readonly #stepStart: number[] = [0];
  readonly #steps: number[] = [];

  /** The index of a key; undefined when no VIN can match it. */
  placeOf(keys: string): number | undefined {
    // Most patterns with the same keys are adjacent.
    if (keys !== this.#lastKeys) {
      this.#lastKeys = keys;
      this.#lastPlace = this.#findPlace(keys);
    }
    return this.#lastPlace;
  }

  collected(): PatternKeys {
    const members = new Uint8Array(this.#sets.length * CHARACTERS);
    for (const [place, set] of this.#sets.entries()) {
      for (const character of set) {
        members[place * CHARACTERS + characterPlace(character.charCodeAt(0))] = 1;
      }
    }
    return {
      stepStart: Uint32Array.from(this.#stepStart),
      steps: Uint32Array.from(this.#steps),
      members,
      rank: ranksOf([...this.#places.keys()]),
    };
  }

  #findPlace(keys: string): number | undefined {
    const known = this.#places.get(keys);
    if (known !== undefined) {
      return known;
    }
    const steps = this.#stepsOf(keys.toUpperCase());
    if (steps === undefined) {
      return undefined;
    }
    this.#steps.push(...steps);
    this.#stepStart.push(this.#steps.length);
    const place = this.#places.size;
    this.#places.set(keys, place);
    return place;
  }

  #stepsOf(keys: string): number[] | undefined {
    const positions = keys.match(POSITION) ?? [];
    const steps: number[] = [];
    for (const [position, text] of positions.entries()) {
      // NHTSA compares with LIKE, where an underscore outside brackets also stands for any character.
      if (text === "*" || text === "_" || (position === BAR && text.includes("|"))) {
        continue;
      }
      const place = this.#placeOfSet(text);
      if (position === BAR || this.#sets[place] === "") {
        return undefined;
      }
      steps.push(place * CHARACTERS * POSITIONS + position);
    }
    return positions.length <= KEY_LENGTH ? steps : undefined;
  }

  #placeOfSet(text: string): number {
    let place = this.#setPlaces.get(text);
    if (place === undefined) {
      place = this.#sets.length;
      this.#setPlaces.set(text, place);
      this.#sets.push(membersOf(text));
    }
    return place;
  }
}

/** Matches VINs against keys, one VIN at a time. */
export class KeyMatcher {
  readonly #keys: PatternKeys;
  readonly #characters = new Uint8Array(KEY_LENGTH);

  constructor(keys: PatternKeys) {
    this.#keys = keys;
  }

  /** Sets the VIN that {@link matches} tests. */
  setVin(vin: string): void {
    for (let i = 0; i < KEY_LENGTH; i++) {
      this.#characters[i] = characterPlace(vin.charCodeAt(FIRST_POSITION + i));
    }
  }

  /** Whether every character of the VIN is in the key's set for its position. */
  matches(key: number): boolean {
    const { stepStart, steps, members } = this.#keys;
    const end = stepStart[key + 1] ?? 0;
    for (let i = stepStart[key] ?? 0; i < end; i++) {
      const step = steps[i] ?? 0;
      const character = this.#characters[step & POSITION_MASK] ?? 0;
      if (members[(step >>> POSITION_BITS) + character] !== 1) {
        return false;
      }
    }
    return true;
  }

  /** The restricted positions of a key; see {@link Item.positions}. */
  positionsOf(key: number): number {
    const { stepStart, steps } = this.#keys;
    const end = stepStart[key + 1] ?? 0;
    let positions = 0;
    for (let i = stepStart[key] ?? 0; i < end; i++) {
      positions |= 1 << ((steps[i] ?? 0) & POSITION_MASK);
    }
    return positions;
  }

  rankOf(key: number): number {
    return this.#keys.rank[key] ?? 0;
  }
}

/**
 * A text that sorts like keys in NHTSA's database: first by length without stars, then alphabetically without brackets,
 * with the star and then the bar before digits and letters.
 */
export function sortingForm(keys: string): string {
  const literals = keys.replaceAll("*", "").length;
  return String.fromCharCode(literals) + keys.replaceAll(/[[\]]/g, "").replaceAll("|", "+");
}

function ranksOf(keys: readonly string[]): Uint32Array {
  const forms = keys.map((text) => sortingForm(text.toUpperCase()));
  const ranks = new Map([...new Set(forms)].toSorted().map((form, rank) => [form, rank]));
  return Uint32Array.from(forms, (form) => ranks.get(form) ?? 0);
}

/** The letters and digits of a set, such as `ABCX` of `[A-CX]`. `1-A` means 1 and A to NHTSA. */
export function membersOf(text: string): string {
  const spelled = text.replace("1-A", "1A").replaceAll(RANGE, (_, first: string, last: string) => {
    const length = Math.max(0, last.charCodeAt(0) - first.charCodeAt(0) + 1);
    return Array.from({ length }, (_, i) => String.fromCharCode(first.charCodeAt(0) + i)).join("");
  });
  return spelled.replaceAll(/[^0-9A-Z]/g, "");
}

function characterPlace(code: number): number {
  return code <= CODE_OF_9 ? code - CODE_OF_0 : code - CODE_OF_A + DIGITS;
}
