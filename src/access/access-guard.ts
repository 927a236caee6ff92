import { ScopeMissingError } from "./errors.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import type { TokenBook } from "./token-book.ts";
import { secretOf } from "./token-book.ts";
import type { Scope, Token } from "./token.ts";
import { SCOPES } from "./token.ts";

/** A caller and what it may do. */
export interface Caller {
  /** The token's name, or the address without a token. Used for limits, logs and audit. */
  readonly name: string;
  readonly scopes: ReadonlySet<Scope>;
}

/** Why a call was refused. */
export type RefusalReason = "TOKEN_MISSING" | "TOKEN_UNKNOWN" | "RATE_LIMITED" | "TOO_MANY_STREAMS" | "OVERLOADED";

/**
 * A refused call. Not an Error: under a flood most calls are refused, and capturing a stack for each would make a
 * refusal cost more than an answer.
 */
export interface Refusal {
  readonly reason: RefusalReason;
  /** When a retry may succeed, in ms from now; 0 when waiting does not help. */
  readonly retryAfterMs: number;
}

/** Whether a call was refused. */
export function isRefusal(outcome: object): outcome is Refusal {
  return "reason" in outcome && "retryAfterMs" in outcome;
}

export interface AccessGuardOptions {
  /** The source of the tokens; undefined when every caller may do everything. */
  readonly tokens: { readonly book: TokenBook } | undefined;
  readonly limiter: RateLimiter;
  /**
   * Limits calls without a valid token, by address. Separate, so that these calls do not use up the limits of token
   * holders.
   */
  readonly anonymous: RateLimiter;
  /** Wall clock, ms since the epoch, for the expiry of tokens. Default: the system's. */
  readonly now?: () => number;
}

/** A sustained rate and a burst size. */
export interface Rates {
  readonly perSecond: number;
  /** Burst size. */
  readonly burst: number;
}

const ALL_SCOPES: ReadonlySet<Scope> = new Set(SCOPES);
const TOKEN_MISSING: Refusal = { reason: "TOKEN_MISSING", retryAfterMs: 0 };
const TOKEN_UNKNOWN: Refusal = { reason: "TOKEN_UNKNOWN", retryAfterMs: 0 };
/**
 * Enough for a client to notice that its token is missing or wrong, too little to guess tokens or to flood the service.
 */
const ANONYMOUS_BURST = 100;

/**
 * The rate of an address without a valid token, derived from the rate of a token. Applies when tokens are configured.
 */
export function toAnonymousRates({ perSecond, burst }: Rates): Rates {
  return { perSecond: Math.min(perSecond, ANONYMOUS_BURST), burst: Math.min(burst, ANONYMOUS_BURST) };
}

/** Authenticates callers and enforces their rates and scopes, for RPCs and plain HTTP alike. */
export class AccessGuard {
  readonly #tokens: { readonly book: TokenBook } | undefined;
  readonly #limiter: RateLimiter;
  readonly #anonymous: RateLimiter;
  readonly #now: () => number;

  constructor({ tokens, limiter, anonymous, now = Date.now }: AccessGuardOptions) {
    this.#tokens = tokens;
    this.#limiter = limiter;
    this.#anonymous = anonymous;
    this.#now = now;
  }

  /**
   * Identifies the caller and charges it for one call; a call without a valid token is charged to its address. Never
   * throws.
   *
   * @param authorization the header, if present
   * @param address the peer's address, without port; cheapest when {@link toCallerAddress} was applied once, for its
   *   connection
   * @returns the caller, or a refusal: TOKEN_MISSING, TOKEN_UNKNOWN or RATE_LIMITED
   */
  admit(authorization: string | null | undefined, address: string): Caller | Refusal {
    if (this.#tokens === undefined) {
      return this.#charge({ name: address, scopes: ALL_SCOPES });
    }
    const token = this.#tokenOf(this.#tokens.book, authorization);
    if (token !== undefined) {
      return this.#charge(token);
    }
    const waitMs = this.#anonymous.take(address);
    if (waitMs > 0) {
      return rateLimited(waitMs);
    }
    return secretOf(authorization ?? "") === undefined ? TOKEN_MISSING : TOKEN_UNKNOWN;
  }

  /** Whether the header has a valid token; false when no tokens are configured. Charges nothing. */
  isTokenValid(authorization: string | undefined): boolean {
    return this.#tokens !== undefined && this.#tokenOf(this.#tokens.book, authorization) !== undefined;
  }

  /** Charges an admitted caller for more than one unit, even if that leaves it in debt. */
  charge(caller: Caller, more: number): void {
    this.#limiter.charge(caller.name, more);
  }

  /**
   * Charges an admitted caller for further units, unless its rate is exceeded.
   *
   * @returns 0 when it was charged; otherwise when to try again, in ms from now
   */
  chargeWhenAllowed(caller: Caller, units: number): number {
    const waitMs = this.#limiter.take(caller.name);
    if (waitMs === 0) {
      this.#limiter.charge(caller.name, units - 1);
    }
    return waitMs;
  }

  #charge(caller: Caller): Caller | Refusal {
    const waitMs = this.#limiter.take(caller.name);
    return waitMs > 0 ? rateLimited(waitMs) : caller;
  }

  #tokenOf(book: TokenBook, authorization: string | null | undefined): Token | undefined {
    return authorization === null || authorization === undefined ? undefined : book.find(authorization, this.#now());
  }
}

function rateLimited(retryAfterMs: number): Refusal {
  return { reason: "RATE_LIMITED", retryAfterMs };
}

/** @throws ScopeMissingError unless the caller has the scope. */
export function requireScope(caller: Caller, scope: Scope): void {
  if (!caller.scopes.has(scope)) {
    throw new ScopeMissingError(scope);
  }
}
