import { TokenBook } from "../../src/access/token-book.ts";
import { digestOf, SCOPES } from "../../src/access/token.ts";

/** The time in tests with tokens, ms since the epoch. */
export const TOKENS_NOW = Date.UTC(2026, 10, 22, 12);

/** Tokens named `lookup`, `remove` and `export` with that scope, `all` with all, and `expired`; see {@link bearer}. */
export const someTokens = {
  book: new TokenBook([
    ...SCOPES.map((scope) => token(scope, [scope])),
    token("all", SCOPES),
    { ...token("expired", SCOPES), expiresAt: TOKENS_NOW },
  ]),
};

/** The headers with the secret of one of {@link someTokens}. */
export function bearer(name: string): { readonly authorization: string } {
  return { authorization: `Bearer vs_${name}` };
}

function token(name: string, scopes: readonly (typeof SCOPES)[number][]) {
  return { name, digest: digestOf(`vs_${name}`), scopes: new Set(scopes), expiresAt: undefined };
}
