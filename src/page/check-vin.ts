import { checkDigit, hasValidCheckDigit } from "../vehicle/check-digit.ts";
import type { Vin } from "../vehicle/vin.ts";
import { toSentence } from "./words.ts";
import { likelyMeant, tidyVin, tryVin } from "./tidy-vin.ts";

/** What can be said of a VIN while it is typed. */
export type VinCheck =
  | { readonly state: "empty" }
  /** Nothing is wrong so far. */
  | { readonly state: "partial"; readonly words: string }
  /** Cannot become a VIN as it stands. */
  | { readonly state: "wrong"; readonly words: string; readonly meant: Vin | undefined }
  | {
      readonly state: "good";
      readonly vin: Vin;
      readonly words: string;
      /** `doubtful`: one character is probably wrong. `open`: nothing can be said. */
      readonly tone: "right" | "doubtful" | "open";
    };

const LENGTH = 17;
/** World regions whose VINs have a check digit at position 9. */
const NORTH_AMERICAN = /^[1-57]/;

/** Checks a text as far as it is typed. */
export function checkVin(text: string): VinCheck {
  const tidy = tidyVin(text);
  if (tidy === "") {
    return { state: "empty" };
  }
  const tried = tryVin(tidy);
  if ("vin" in tried) {
    return checkDigitOf(tried.vin);
  }
  const faults = tried.fault.split("; ").filter((part) => tidy.length >= LENGTH || !part.startsWith("a VIN has"));
  const meant = likelyMeant(text);
  return faults.length === 0
    ? { state: "partial", words: `${tidy.length} of ${LENGTH} characters` }
    : { state: "wrong", words: toSentence(faults.join("; ")), meant };
}

function checkDigitOf(vin: Vin): VinCheck {
  if (hasValidCheckDigit(vin)) {
    return { state: "good", vin, words: "17 characters, and the check digit is right.", tone: "right" };
  }
  const digits = `Position 9 is ${vin.charAt(8)}, but the check digit would be ${checkDigit(vin)}`;
  return NORTH_AMERICAN.test(vin)
    ? { state: "good", vin, words: `${digits}: one character is probably wrong.`, tone: "doubtful" }
    : { state: "good", vin, words: `${digits}. Outside North America this is often not a mistake.`, tone: "open" };
}
