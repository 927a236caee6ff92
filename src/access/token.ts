import { hash } from "node:crypto";

/** The permissions of tokens: look vehicles up, remove entries from the cache, export the cache. */
export const SCOPES = ["lookup", "remove", "export"] as const;

export type Scope = (typeof SCOPES)[number];

/** Whether a word is a scope. */
export function isScope(word: string): word is Scope {
  return SCOPES.some((scope) => scope === word);
}

/** A token: its name, digest, scopes and expiry. */
export interface Token {
  /** The owner's name in logs and limits. */
  readonly name: string;
  /** The SHA-256 of the secret, 64 hex digits in lower case. Only the owner knows the secret. */
  readonly digest: string;
  readonly scopes: ReadonlySet<Scope>;
  /** When it expires, ms since the epoch; undefined when it does not expire. */
  readonly expiresAt: number | undefined;
}

const NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
const EXPIRY = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/;

/** The rule for names, for messages. */
export const NAME_RULE = "a letter, then up to 63 letters, digits, dots, dashes or underscores";
/** The rule for expiries, for messages. */
export const EXPIRY_RULE = "a date such as 2027-01-01 (its first moment, UTC) or a time such as 2027-01-01T08:00:00Z";

/**
 * Whether a text is a valid token name. A name never looks like an address, since limits are kept for both, and is safe
 * in a log line.
 */
export function isTokenName(text: string): boolean {
  return NAME.test(text);
}

/** The SHA-256 of a secret, 64 hex digits in lower case. */
export function digestOf(secret: string): string {
  return hash("sha256", secret, "hex");
}

/** Parses a date, or a time with its zone, to ms since the epoch; undefined when it is neither. */
export function parseExpiry(text: string): number | undefined {
  const [, date] = EXPIRY.exec(text) ?? [];
  const midnight = Date.parse(`${date}T00:00:00Z`);
  // Date would parse 30 February as 2 March.
  if (date === undefined || Number.isNaN(midnight) || !new Date(midnight).toISOString().startsWith(date)) {
    return undefined;
  }
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}
