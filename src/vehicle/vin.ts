import { InvalidFieldError } from "./errors.ts";

/** A well-formed VIN: 17 upper-case letters and digits without I, O and Q. Made by {@link parseVin} only. */
export type Vin = string & { readonly __brand: "Vin" };

const VIN_LENGTH = 17;
const WELL_FORMED = /^[A-HJ-NPR-Z0-9]{17}$/;
const VIN_CHARACTER = /^[A-HJ-NPR-Z0-9]$/;
/** Unicode's white space and the byte-order mark. */
const BLANK = /^[\p{White_Space}\uFEFF]$/u;
const PRINTABLE_ASCII = /^[ -~]+$/;
/** Bar codes of imported vehicles begin with an I that is not part of the VIN. */
const WITH_IMPORT_MARK = /^I([A-HJ-NPR-Z0-9]{17})$/;
/** A complete VIN with other text before or after it. A label may be attached: `VIN1XPWD40X1ED215307`. */
const VIN_IN_TEXT = /^(VIN|.*[^A-Z0-9])?([A-HJ-NPR-Z0-9]{17})([^A-Z0-9].*)?$/s;
/** For longer texts, only the length is checked. */
const LONGEST_TEXT = 100;
const LIKELY_MEANT: Readonly<Record<string, string>> = { I: "1", O: "0", Q: "0" };

/**
 * Parses the VIN that a caller sent, ignoring case, surrounding white space and a byte-order mark. Does not verify the
 * check digit: outside North America position 9 is free.
 *
 * @param field the request field that holds the text, for the error.
 * @throws InvalidFieldError that names every wrong character and its position, from 1, and says what to do if the cause
 *   is clear.
 */
export function parseVin(text: string, field = "vin"): Vin {
  if (isWellFormed(text)) {
    return text;
  }
  const upper = toUpperAscii(stripBlanks(text));
  if (isWellFormed(upper)) {
    return upper;
  }
  throw new InvalidFieldError(field, describeFault(upper));
}

function isWellFormed(text: string): text is Vin {
  return WELL_FORMED.test(text);
}

/** Without a regular expression: one for trailing blanks takes quadratic time when there are blanks inside. */
function stripBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANK.test(text.charAt(start))) {
    start++;
  }
  while (end > start && BLANK.test(text.charAt(end - 1))) {
    end--;
  }
  return text.slice(start, end);
}

/** Changes only ASCII letters: `toUpperCase` turns "ſ" into S. */
function toUpperAscii(text: string): string {
  return text.replaceAll(/[a-z]+/g, (letters) => letters.toUpperCase());
}

function describeFault(text: string): string {
  if (text === "") {
    return "a VIN is required: 17 letters and digits, such as 1XPWD40X1ED215307";
  }
  const afterImportMark = WITH_IMPORT_MARK.exec(text)?.[1];
  if (afterImportMark !== undefined) {
    return `the "I" at position 1 is the import mark of a bar code and not part of the VIN; drop it: ${afterImportMark}`;
  }
  return text.length > LONGEST_TEXT
    ? describeLength(text.length).join("")
    : (describeExtraText(text) ?? describeCharacters(text));
}

/** Says what to drop when there is text around one complete VIN. */
function describeExtraText(text: string): string | undefined {
  const [, before = "", vin, after = ""] = VIN_IN_TEXT.exec(text) ?? [];
  const extra = [before, after].map(stripBlanks).filter((part) => part !== "");
  if (vin === undefined || !extra.every((part) => PRINTABLE_ASCII.test(part) && !isWellFormed(part))) {
    return undefined;
  }
  const quoted = extra.map((part) => JSON.stringify(part)).join(" and ");
  return `${quoted} ${extra.length === 1 ? "does" : "do"} not belong to the VIN; send the VIN alone: ${vin}`;
}

function describeCharacters(text: string): string {
  const characters = Array.from(text);
  const wrong = [...characters.entries()].filter(([, character]) => !VIN_CHARACTER.test(character));
  const named = Map.groupBy(wrong.slice(0, VIN_LENGTH), ([, character]) => character);
  const faults = Array.from(named, ([character, entries]) => {
    const positions = list(entries.map(([index]) => index + 1));
    return `${nameOf(character)} at ${positions} ${expectation(character)}`;
  });
  const unnamed = wrong.length - VIN_LENGTH;
  return [
    ...describeLength(characters.length),
    ...faults,
    ...(unnamed > 0 ? [`${unnamed} more ${unnamed === 1 ? "character is" : "characters are"} wrong`] : []),
  ].join("; ");
}

function describeLength(length: number): string[] {
  if (length === VIN_LENGTH) {
    return [];
  }
  const fault = `a VIN has ${VIN_LENGTH} characters, this has ${length}`;
  return length > VIN_LENGTH
    ? [fault]
    : [`${fault}: partial VINs are not decoded, and shorter numbers from before 1981 are not in any database`];
}

function list(positions: readonly number[]): string {
  return positions.length === 1
    ? `position ${positions[0]}`
    : `positions ${positions.slice(0, -1).join(", ")} and ${positions.at(-1)}`;
}

function expectation(character: string): string {
  if (character === "*") {
    return "stands for unknown characters, but partial VINs are not decoded";
  }
  const meant = LIKELY_MEANT[character];
  if (meant !== undefined) {
    return `is not allowed in a VIN; ${meant} is likely meant`;
  }
  const folded = character.normalize("NFKC").toUpperCase();
  return folded !== character && VIN_CHARACTER.test(folded)
    ? `is not an ASCII character; ${folded} is likely meant`
    : "is not a letter A-Z or a digit 0-9";
}

function nameOf(character: string): string {
  if (character === " ") {
    return "a blank";
  }
  const codePoint = character.codePointAt(0) ?? 0;
  return PRINTABLE_ASCII.test(character)
    ? `"${character}"`
    : `U+${codePoint.toString(16).toUpperCase().padStart(4, "0")}`;
}
