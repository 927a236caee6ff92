import { describe, expect, test } from "vitest";
import { TokensFileError } from "../../src/access/errors.ts";
import { formatToken, parseTokens, TokenBook } from "../../src/access/token-book.ts";
import type { Token } from "../../src/access/token.ts";
import { digestOf } from "../../src/access/token.ts";

const DIGEST = digestOf("first");
const OTHER_DIGEST = digestOf("second");

function faultsOf(text: string): readonly string[] {
  try {
    parseTokens(text);
  } catch (error) {
    if (error instanceof TokensFileError) {
      return error.faults;
    }
    throw error;
  }
  return [];
}

describe("the tokens file", () => {
  test("has one token per line, comments, empty lines, and any blanks between fields", () => {
    const text = `# who may do what\r\n\nci\t${DIGEST.toUpperCase()}  lookup,remove # the pipeline\nops ${OTHER_DIGEST} export 2027-01-01\n`;

    const tokens = parseTokens(text);

    expect(tokens).toEqual([
      { name: "ci", digest: DIGEST, scopes: new Set(["lookup", "remove"]), expiresAt: undefined },
      { name: "ops", digest: OTHER_DIGEST, scopes: new Set(["export"]), expiresAt: Date.UTC(2027, 0, 1) },
    ]);
  });

  test("may have two secrets for one name, so that callers can change to the new one", () => {
    const book = new TokenBook(parseTokens(`ci ${digestOf("old")} lookup 2027-01-01\nci ${digestOf("new")} lookup\n`));

    const names = ["old", "new"].map((secret) => book.find(`Bearer ${secret}`, Date.UTC(2026, 11, 31))?.name);
    const later = ["old", "new"].map((secret) => book.find(`Bearer ${secret}`, Date.UTC(2027, 0, 1))?.name);

    expect(names).toEqual(["ci", "ci"]);
    expect(later).toEqual([undefined, "ci"]);
  });

  test("may be empty, which refuses every caller", () => {
    expect(parseTokens("\n# none yet\n")).toEqual([]);
  });

  test.each([
    ["a missing field", `ci ${DIGEST}`, /^line 1: it has 2 fields/],
    ["one field too many", `ci ${DIGEST} lookup 2027-01-01 x`, /^line 1: it has 5 fields/],
    ["a name that looks like an address", `10.0.0.1 ${DIGEST} lookup`, /^line 1: the first field is not a valid name/],
    ["a secret instead of its SHA-256", "ci vs_secret lookup", /^line 1: the second field is not a SHA-256/],
    ["a scope that does not exist", `ci ${DIGEST} lookup,write`, /^line 1: the third field .* lookup, remove, export/],
    ["a date that does not exist", `ci ${DIGEST} lookup 2027-02-30`, /^line 1: the fourth field is not an expiry/],
    ["a time without a zone", `ci ${DIGEST} lookup 2027-02-03T10:00`, /^line 1: the fourth field is not an expiry/],
    ["a secret twice", `a ${DIGEST} lookup\n\nb ${DIGEST} lookup`, /^line 3: it has the same SHA-256 as line 1/],
  ])("is refused for %s", (_case, text, fault) => {
    expect(faultsOf(text)).toEqual([expect.stringMatching(fault)]);
  });

  test("is rejected with all faults at once, and no fault quotes the file", () => {
    const faults = faultsOf(
      `vs_secret1! vs_secret2 vs_secret3 vs_secret4\nci ${DIGEST} lookup\nci ${DIGEST} remove\nx`,
    );

    expect(faults).toHaveLength(6);
    expect(faults.join("\n")).not.toMatch(new RegExp(`vs_secret|${DIGEST}`));
  });

  test.each([
    ["U+2028, a line separator", "\u2028"],
    ["U+2029, a paragraph separator", "\u2029"],
    ["U+0085, a next line", "\u0085"],
    ["a carriage return", "\r"],
    ["a vertical tab", "\v"],
    ["a form feed", "\f"],
  ])("does not accept a token in a comment, even after %s", (_case, separator) => {
    const tokens = parseTokens(`# revoked:${separator}old ${DIGEST} lookup\nci ${OTHER_DIGEST} lookup\n`);

    expect(tokens).toMatchObject([{ name: "ci" }]);
  });

  test.each(["\u2028", "\u2029", "\u0085", "\r", "\u00A0"])("does not separate fields at %j", (separator) => {
    expect(faultsOf(`ci ${DIGEST} lookup${separator}ops ${OTHER_DIGEST} lookup`)).not.toEqual([]);
    expect(faultsOf(`ci ${DIGEST}${separator}lookup`)).toEqual([expect.stringMatching(/^line 1: /)]);
  });

  test("may begin with a byte order mark, as some editors write", () => {
    expect(parseTokens(`\uFEFFci ${DIGEST} lookup\r\n`)).toMatchObject([{ name: "ci" }]);
  });

  test("can be parsed again after it was formatted", () => {
    const text = `ci ${DIGEST} lookup,remove 2027-01-01T08:00:00.000Z`;

    const lines = parseTokens(text).map(formatToken);

    expect(lines).toEqual([text]);
  });
});

const EXPIRY = Date.UTC(2027, 0, 1);

const ci: Token = { name: "ci", digest: digestOf("secret"), scopes: new Set(["lookup"]), expiresAt: undefined };
const guest: Token = { ...ci, name: "guest", digest: digestOf("guest-secret"), expiresAt: EXPIRY };

test.each(["Bearer secret", "bearer   secret"])("finds a token by the header %j", (header) => {
  const book = new TokenBook([ci, guest]);

  expect(book.find(header, EXPIRY)).toBe(ci);
  expect(book.find(header, EXPIRY)).toBe(ci);
});

test.each(["Bearer Secret", "Bearer secret ", "Bearer ", "", "secret", "Basic secret", `Bearer ${digestOf("secret")}`])(
  "finds no token by the header %j",
  (header) => {
    const book = new TokenBook([ci]);

    expect(book.find(header, 0)).toBeUndefined();
  },
);

test("finds tokens however many spellings of a header were sent", () => {
  const book = new TokenBook([ci, guest]);
  const headers = Array.from({ length: 10 }, (_, index) => `Bearer ${" ".repeat(1_000 * index)}secret`);

  const found = [...headers, "Bearer guest-secret", ...headers].map((header) => book.find(header, 0));

  expect(found).toEqual([...headers.map(() => ci), guest, ...headers.map(() => ci)]);
});

test("rejects a token from the moment of its expiry", () => {
  const book = new TokenBook([guest]);

  expect(book.find("Bearer guest-secret", EXPIRY - 1)).toBe(guest);
  expect(book.find("Bearer guest-secret", EXPIRY)).toBeUndefined();
});
