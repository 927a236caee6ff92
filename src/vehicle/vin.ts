import { InvalidFieldError } from "./errors.ts";

/** A well-formed VIN: 17 upper-case letters and digits without I, O and Q. Made by {@link parseVin} only. */
export type Vin = string & { readonly __brand: "Vin" };

const VIN_LENGTH = 17;
const WELL_FORMED = /^[A-HJ-NPR-Z0-9]{17}$/;
const ALLOWED_CHARACTER = /[A-HJ-NPR-Z0-9]/;
const LIKELY_MEANT: Readonly<Record<string, string>> = { I: "1", O: "0", Q: "0" };
const SURROUNDING_BLANKS = /^[ \t\r\n]+|[ \t\r\n]+$/g;
const LONGEST_QUOTE = 40;

/**
 * Trims and upper-cases what a caller sent, and checks that it is a VIN. The check digit is not looked at: outside
 * North America position 9 is free.
 *
 * @param field the request field the text came in, named in the error.
 * @throws InvalidFieldError naming the first character that is wrong, its position (from 1) and what is likely meant.
 */
export function parseVin(text: string, field = "vin"): Vin {
  // ASCII is checked before upper-casing: "ſ" would become S.
  const trimmed = text.replace(SURROUNDING_BLANKS, "");
  const upper = isAscii(trimmed) ? trimmed.toUpperCase() : trimmed;
  if (isWellFormed(upper)) {
    return upper;
  }
  throw new InvalidFieldError(field, describeFault(upper));
}

function isWellFormed(text: string): text is Vin {
  return WELL_FORMED.test(text);
}

function describeFault(text: string): string {
  if (text === "") {
    return "a VIN is required: 17 letters and digits, such as 1XPWD40X1ED215307";
  }
  const characters = Array.from(text);
  const position = characters.findIndex((character) => !ALLOWED_CHARACTER.test(character) || character.length > 1);
  const wrongCharacter = characters[position];
  const lengthFault =
    characters.length === VIN_LENGTH ? undefined : `a VIN has ${VIN_LENGTH} characters, this has ${characters.length}`;
  if (wrongCharacter === undefined) {
    return `${lengthFault}: ${quote(text)}`;
  }
  const characterFault = `${describeCharacter(wrongCharacter)} at position ${position + 1} ${expectation(wrongCharacter)}`;
  return lengthFault === undefined ? characterFault : `${lengthFault}; ${characterFault}`;
}

function expectation(character: string): string {
  const meant = LIKELY_MEANT[character];
  if (meant !== undefined) {
    return `is not allowed in a VIN; ${meant} is likely meant`;
  }
  const folded = character.normalize("NFKC").toUpperCase();
  if (folded !== character && folded.length === 1 && ALLOWED_CHARACTER.test(folded)) {
    return `is not an ASCII character; ${folded} is likely meant`;
  }
  return "is not a letter A-Z or a digit 0-9";
}

function describeCharacter(character: string): string {
  const codePoint = character.codePointAt(0) ?? 0;
  const name = `U+${codePoint.toString(16).toUpperCase().padStart(4, "0")}`;
  if (character === " ") {
    return "a blank";
  }
  const isPrintableAscii = codePoint > 0x20 && codePoint < 0x7f;
  return isPrintableAscii ? `"${character}"` : name;
}

function quote(text: string): string {
  return JSON.stringify(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}...` : text);
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) {
      return false;
    }
  }
  return true;
}
