import { timingSafeEqual } from "node:crypto";
import type { Token } from "./token.ts";
import { digestOf } from "./token.ts";

/** Finds tokens by the secrets that callers show. */
export class TokenBook {
  readonly #byDigest: ReadonlyMap<string, Token>;

  constructor(tokens: readonly Token[]) {
    this.#byDigest = new Map(tokens.map((token) => [token.digest, token]));
  }

  /** How many tokens there are, expired ones included. */
  get size(): number {
    return this.#byDigest.size;
  }

  /**
   * The token of a secret; undefined when there is none or it has expired.
   *
   * Secrets are never compared, only their SHA-256. How long the look-up takes may tell something of the digest of what
   * was shown, but nobody can steer that digest towards a stored one, so nothing is learnt byte by byte. Equality itself
   * is decided in constant time.
   *
   * @param now wall clock, ms since the epoch
   */
  find(secret: string, now: number): Token | undefined {
    const digest = digestOf(secret);
    const token = this.#byDigest.get(digest);
    if (token === undefined || !timingSafeEqual(Buffer.from(token.digest), Buffer.from(digest))) {
      return undefined;
    }
    return token.expiresAt === undefined || now < token.expiresAt ? token : undefined;
  }
}
