import { toCallerAddress } from "./caller-address.ts";
import { ScopeMissingError, TokenMissingError, TokenUnknownError } from "./errors.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import type { Scope } from "./scope.ts";
import { SCOPES } from "./scope.ts";
import type { TokenBook } from "./token-book.ts";

/** Whose call it is, and what it may do. */
export interface Caller {
  /** The token's name; without tokens the address. Limits, logs and audit go by it. */
  readonly name: string;
  readonly scopes: ReadonlySet<Scope>;
}

export interface AccessGuardOptions {
  /** Where the tokens are; undefined when everyone may do everything. */
  readonly tokens: { readonly book: TokenBook } | undefined;
  readonly limiter: RateLimiter;
  /** Wall clock, ms since the epoch; tells expired tokens. Default: the system's. */
  readonly now?: () => number;
}

const ALL_SCOPES: ReadonlySet<Scope> = new Set(SCOPES);
const BEARER = /^bearer +([\w.~+/-]{1,512}=*)$/i;

/** Who may come in, how often and what for; the same for RPCs and plain HTTP. */
export class AccessGuard {
  readonly #tokens: { readonly book: TokenBook } | undefined;
  readonly #limiter: RateLimiter;
  readonly #now: () => number;

  constructor({ tokens, limiter, now = Date.now }: AccessGuardOptions) {
    this.#tokens = tokens;
    this.#limiter = limiter;
    this.#now = now;
  }

  /**
   * Finds out whose call it is, and charges it for one.
   *
   * @param authorization the header, if there is one
   * @param address of the peer, without port
   * @throws TokenMissingError, TokenUnknownError, RateLimitError
   */
  admit(authorization: string | null | undefined, address: string): Caller {
    const caller = this.#identify(authorization, address);
    this.#limiter.admit(caller.name);
    return caller;
  }

  /** Charges an admitted caller for more than the one call, even if that leaves it in debt. */
  charge(caller: Caller, more: number): void {
    this.#limiter.charge(caller.name, more);
  }

  #identify(authorization: string | null | undefined, address: string): Caller {
    if (this.#tokens === undefined) {
      return { name: toCallerAddress(address), scopes: ALL_SCOPES };
    }
    const [, secret] = BEARER.exec(authorization ?? "") ?? [];
    if (secret === undefined) {
      throw new TokenMissingError();
    }
    const token = this.#tokens.book.find(secret, this.#now());
    if (token === undefined) {
      throw new TokenUnknownError();
    }
    return token;
  }
}

/** @throws ScopeMissingError unless the caller has the scope. */
export function requireScope(caller: Caller, scope: Scope): void {
  if (!caller.scopes.has(scope)) {
    throw new ScopeMissingError(scope);
  }
}
