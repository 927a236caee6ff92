import { toCallerAddress } from "./caller-address.ts";
import { ScopeMissingError, TokenMissingError, TokenUnknownError } from "./errors.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import type { Scope } from "./scope.ts";
import { SCOPES } from "./scope.ts";
import type { TokenBook } from "./token-book.ts";
import type { Token } from "./token.ts";

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
  /** Bounds calls without a valid token, by address. Its own, so that strangers take nothing from those who have one. */
  readonly strangers: RateLimiter;
  /** Wall clock, ms since the epoch; tells expired tokens. Default: the system's. */
  readonly now?: () => number;
}

const ALL_SCOPES: ReadonlySet<Scope> = new Set(SCOPES);
const BEARER = /^bearer +([\w.~+/-]{1,512}=*)$/i;

/** Who may come in, how often and what for; the same for RPCs and plain HTTP. */
export class AccessGuard {
  readonly #tokens: { readonly book: TokenBook } | undefined;
  readonly #limiter: RateLimiter;
  readonly #strangers: RateLimiter;
  readonly #now: () => number;

  constructor({ tokens, limiter, strangers, now = Date.now }: AccessGuardOptions) {
    this.#tokens = tokens;
    this.#limiter = limiter;
    this.#strangers = strangers;
    this.#now = now;
  }

  /**
   * Finds out whose call it is, and charges it for one; a call without a valid token is charged to its address.
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

  /**
   * Whether a call would not be refused for its caller if it were the next to begin; nothing is charged yet. Under
   * overload those who would be refused anyway must not take the places of others.
   */
  isWelcome(authorization: string | undefined, address: string): boolean {
    const name =
      this.#tokens === undefined
        ? toCallerAddress(address)
        : this.#tokenOf(this.#tokens.book, secretOf(authorization))?.name;
    return name !== undefined && !this.#limiter.isSpent(name);
  }

  /** Charges an admitted caller for more than the one call, even if that leaves it in debt. */
  charge(caller: Caller, more: number): void {
    this.#limiter.charge(caller.name, more);
  }

  #identify(authorization: string | null | undefined, address: string): Caller {
    if (this.#tokens === undefined) {
      return { name: toCallerAddress(address), scopes: ALL_SCOPES };
    }
    const secret = secretOf(authorization);
    const token = this.#tokenOf(this.#tokens.book, secret);
    if (token === undefined) {
      this.#strangers.admit(toCallerAddress(address));
      throw secret === undefined ? new TokenMissingError() : new TokenUnknownError();
    }
    return token;
  }

  #tokenOf(book: TokenBook, secret: string | undefined): Token | undefined {
    return secret === undefined ? undefined : book.find(secret, this.#now());
  }
}

function secretOf(authorization: string | null | undefined): string | undefined {
  return BEARER.exec(authorization ?? "")?.[1];
}

/** @throws ScopeMissingError unless the caller has the scope. */
export function requireScope(caller: Caller, scope: Scope): void {
  if (!caller.scopes.has(scope)) {
    throw new ScopeMissingError(scope);
  }
}
