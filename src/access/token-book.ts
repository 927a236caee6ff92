import type { Token } from "./token.ts";
import { digestOf } from "./token.ts";

/** Finds tokens by the secrets that callers show. */
export class TokenBook {
  readonly #tokens: ReadonlyMap<string, Token>;

  constructor(tokens: readonly Token[]) {
    this.#tokens = new Map(tokens.map((token) => [token.digest, token]));
  }

  /** How many tokens there are, expired ones included. */
  get size(): number {
    return this.#tokens.size;
  }

  /**
   * The token of a secret; undefined when there is none or it has expired.
   *
   * Secrets are never compared, only looked up by their SHA-256. How long that takes may depend on how much of a digest
   * is the same, but nobody can choose a secret whose digest comes closer to another's: knowing some bits of a digest
   * saves no guess.
   *
   * @param now wall clock, ms since the epoch
   */
  find(secret: string, now: number): Token | undefined {
    const found = this.#tokens.get(digestOf(secret));
    return found?.expiresAt === undefined || now < found.expiresAt ? found : undefined;
  }
}
