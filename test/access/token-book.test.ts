import { expect, test } from "vitest";
import { TokenBook } from "../../src/access/token-book.ts";
import type { Token } from "../../src/access/token.ts";
import { digestOf } from "../../src/access/token.ts";

const EXPIRY = Date.UTC(2027, 0, 1);

const ci: Token = { name: "ci", digest: digestOf("secret"), scopes: new Set(["lookup"]), expiresAt: undefined };
const guest: Token = { ...ci, name: "guest", digest: digestOf("guest secret"), expiresAt: EXPIRY };

test("finds a token by its secret", () => {
  const book = new TokenBook([ci, guest]);

  expect(book.find("secret", EXPIRY)).toBe(ci);
});

test.each(["Secret", "secret ", "", digestOf("secret")])("knows no token of the secret %j", (secret) => {
  const book = new TokenBook([ci]);

  expect(book.find(secret, 0)).toBeUndefined();
});

test("rejects a token from the moment of its expiry", () => {
  const book = new TokenBook([guest]);

  expect(book.find("guest secret", EXPIRY - 1)).toBe(guest);
  expect(book.find("guest secret", EXPIRY)).toBeUndefined();
});
