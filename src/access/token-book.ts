import { timingSafeEqual } from "node:crypto";
import type { Token } from "./token.ts";
import { digestOf } from "./token.ts";

/** Finds tokens by the secrets that callers show. */
export class TokenBook {
  readonly #entries: readonly { readonly digest: Buffer; readonly token: Token }[];

  constructor(tokens: readonly Token[]) {
    this.#entries = tokens.map((token) => ({ digest: Buffer.from(token.digest, "hex"), token }));
  }

  /** How many tokens there are, expired ones included. */
  get size(): number {
    return this.#entries.length;
  }

  /**
   * The token of a secret; undefined when there is none or it has expired.
   *
   * Secrets are never compared, only their SHA-256, each in constant time and all of them, so that how long it takes
   * tells nothing but how many tokens there are: some 0.1 us for each.
   *
   * @param now wall clock, ms since the epoch
   */
  find(secret: string, now: number): Token | undefined {
    const shown = Buffer.from(digestOf(secret), "hex");
    let found: Token | undefined;
    for (const { digest, token } of this.#entries) {
      found = timingSafeEqual(digest, shown) ? token : found;
    }
    return found?.expiresAt === undefined || now < found.expiresAt ? found : undefined;
  }
}
