import { InvalidFieldError } from "../vehicle/errors.ts";
import type { Vin } from "../vehicle/vin.ts";
import { parseVin } from "../vehicle/vin.ts";

/** White space, dashes, quotes and invisible characters that people and programs put into VINs. */
const DROPPED = /[\p{White_Space}\p{Dash}\p{Cf}"'`’‘“”]+/gu;
/** Most of a long list needs no work. */
const TIDY = /^[A-Z\d]*$/;
const MEANT: Readonly<Record<string, string>> = { I: "1", O: "0", Q: "0" };
/** A VIN as a separate word, in upper or lower case. */
const VIN_WORD = /(?<![A-Za-z0-9])[A-HJ-NPR-Za-hj-npr-z0-9]{17}(?![A-Za-z0-9])/g;

/** A text without blanks, dashes and quotes, in upper case. Only ASCII letters change their case. */
export function tidyVin(text: string): string {
  if (TIDY.test(text)) {
    return text;
  }
  return text.replaceAll(DROPPED, "").replaceAll(/[a-z]+/g, (letters) => letters.toUpperCase());
}

/** The VIN that a tidy text is; or what is wrong with it, as the service would say it. */
export function tryVin(text: string): { readonly vin: Vin } | { readonly fault: string } {
  try {
    return { vin: parseVin(text) };
  } catch (error) {
    if (error instanceof InvalidFieldError) {
      return { fault: error.description };
    }
    throw error;
  }
}

/** The VINs that stand in a text as words with at least one digit, in upper case. */
export function findVins(text: string): string[] {
  return (text.match(VIN_WORD) ?? []).map((word) => word.toUpperCase()).filter((word) => /\d/.test(word));
}

/** The VIN that was likely meant: look-alike letters as digits, or the one VIN within other text. */
export function likelyMeant(text: string): Vin | undefined {
  const tidy = tidyVin(text.normalize("NFKC"));
  const words = findVins(text);
  const candidates = [
    tidy.replaceAll(/[IOQ]/g, (letter) => MEANT[letter] ?? letter),
    tidy.slice(1),
    ...(words.length === 1 ? words : []),
  ];
  return candidates.map(tryVin).flatMap((tried) => ("vin" in tried ? [tried.vin] : []))[0];
}
