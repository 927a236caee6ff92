import { CACHED_VIN } from "./requests.ts";

const START = CACHED_VIN.slice(0, 16);
const ALLOWED = /^[A-HJ-NPR-Z0-9]+$/;
const LAST_CODE_POINT = 0x1ffff;

/** Texts that are not VINs, and that do harm when put into a path, a query, a log or SQL without escaping. */
export const HOSTILE_VINS: readonly string[] = [
  "",
  "..",
  "/../../etc/passwd",
  "../../../admin/xx",
  ...Array.from("/?#%&;=,\\'\"`<>|*+-_.:@!~^$(){}[]", (character) => `${START}${character}`),
  "%2e%2e%2f%2e%2e%2f",
  "1XPWD40X1ED2%2F..",
  "1XPWD40X1ED2?a=b#",
  "X?format=xml&vin=",
  "1XPWD40X1ED215;7,",
  `${CACHED_VIN};${CACHED_VIN}`,
  `${CACHED_VIN},2014`,
  `${START}\r\n7`,
  `${START}\n7`,
  '1XPWD4\r\n{"forged":1}',
  "1X\r\nX-Forged: 1\r\n\r\n",
  `${START}\u00007`,
  `${START}\u0000`,
  `\u0000${START}`,
  `${START}\u007F`,
  `${START}\u0085`,
  `${START}\u2028`,
  `${START}\u2029`,
  `${START}\u001B[2J`,
  `${START}\u200B`,
  `\uFEFF${START}`,
  `\u202E${START}`,
  `${START}\u00A0`,
  "' OR '1'='1' -- a",
  "'; DROP TABLE vehicles;--",
  '1XPWD40X"; DELETE',
  "\u0410\u0412\u0421XPWD40X1ED2153",
  `${START}\u0405`,
  `${START}\u{1F697}`,
  "__proto__",
  "constructor",
  "I".repeat(17),
  "A".repeat(3000),
];

/** Texts that would become VINs if they were upper-cased or normalised before they are checked. */
export const LOOK_ALIKES: readonly string[] = lookAlikes();

/** One for each character beyond ASCII that turns into letters and digits of VINs, such as "ſ", "ß", "K" and "７". */
function lookAlikes(): string[] {
  const found: string[] = [];
  for (let codePoint = 0x80; codePoint <= LAST_CODE_POINT; codePoint++) {
    const character = String.fromCodePoint(codePoint);
    const folded = [character.toUpperCase(), character.normalize("NFKC").toUpperCase()].find((text) =>
      ALLOWED.test(text),
    );
    if (folded !== undefined) {
      found.push(CACHED_VIN.slice(0, 17 - folded.length) + character);
    }
  }
  return found;
}
