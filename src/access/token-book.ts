import type { Token } from "./token.ts";
import { digestOf } from "./token.ts";

/** Finds tokens by the secrets that callers send. */
export class TokenBook {
  readonly #tokens: ReadonlyMap<string, Token>;
  /** Caches tokens by secret, at most one secret per token: the digest is the most expensive part of a check. */
  readonly #shown = new Map<string, Token>();

  constructor(tokens: readonly Token[]) {
    this.#tokens = new Map(tokens.map((token) => [token.digest, token]));
  }

  /** How many tokens there are, expired ones included. */
  get size(): number {
    return this.#tokens.size;
  }

  /**
   * The token with this secret; undefined when there is none or it has expired.
   *
   * Secrets are looked up by hash: SHA-256 the first time, then the map's own. The time may depend on how much of two
   * hashes matches. This reveals nothing about a secret, because a caller cannot choose a secret whose hash is close to
   * another's.
   *
   * @param now wall clock, ms since the epoch
   */
  find(secret: string, now: number): Token | undefined {
    let found = this.#shown.get(secret);
    if (found === undefined) {
      found = this.#tokens.get(digestOf(secret));
      if (found !== undefined) {
        this.#shown.set(secret, found);
      }
    }
    return found?.expiresAt === undefined || now < found.expiresAt ? found : undefined;
  }
}
