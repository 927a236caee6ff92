import type { Token } from "./token.ts";
import { digestOf } from "./token.ts";

/** Finds tokens by the secrets that callers show. */
export class TokenBook {
  readonly #tokens: ReadonlyMap<string, Token>;
  /** Tokens by secrets that were shown before, at most one secret each: a digest costs more than the rest of a check. */
  readonly #shown = new Map<string, Token>();

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
   * A secret is looked up by a hash of it, SHA-256 at first and the map's own later. How long that takes may depend on
   * how much of a hash is the same, but this says nothing about a secret: nobody can choose one whose hash comes closer
   * to another's.
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
