import { TokensFileError } from "./errors.ts";
import type { Scope, Token } from "./token.ts";
import { digestOf, EXPIRY_RULE, isScope, isTokenName, NAME_RULE, parseExpiry, SCOPES } from "./token.ts";

const DIGEST = /^[0-9a-f]{64}$/i;
const FIELDS = "name, SHA-256 of the secret, scopes and, if it expires, when";
const MAKE_ONE = "make one with: npm run --silent token -- NAME SCOPE...";

/** Longer headers are not remembered: there may be any number of spaces before the secret. */
const MAX_REMEMBERED_LENGTH = 1_024;
const BEARER = /^bearer +([\w.~+/-]{1,512}=*)$/i;

/** The secret in an Authorization header; undefined when there is none. */
export function secretOf(authorization: string): string | undefined {
  return BEARER.exec(authorization)?.[1];
}

/** Finds tokens by the secrets that callers send. */
export class TokenBook {
  readonly #tokens: ReadonlyMap<string, Token>;
  /** The latest header of each token is remembered, because the digest is the most expensive part of a check. */
  readonly #byHeader = new Map<string, Token>();
  readonly #headers = new Map<Token, string>();

  constructor(tokens: readonly Token[]) {
    this.#tokens = new Map(tokens.map((token) => [token.digest, token]));
  }

  /** How many tokens there are, expired ones included. */
  get size(): number {
    return this.#tokens.size;
  }

  /**
   * The token whose secret an Authorization header has; undefined when there is none or it has expired.
   *
   * Secrets are looked up by hash: SHA-256 the first time, then the map's own. The time may depend on how much of two
   * hashes matches. This reveals nothing about a secret, because a caller cannot choose a secret whose hash is close to
   * another's.
   *
   * @param now wall clock, ms since the epoch
   */
  find(authorization: string, now: number): Token | undefined {
    let found = this.#byHeader.get(authorization);
    if (found === undefined) {
      found = this.#tokenOf(secretOf(authorization));
      if (found !== undefined && authorization.length <= MAX_REMEMBERED_LENGTH) {
        this.#remember(authorization, found);
      }
    }
    return found?.expiresAt === undefined || now < found.expiresAt ? found : undefined;
  }

  #remember(authorization: string, token: Token): void {
    this.#byHeader.delete(this.#headers.get(token) ?? "");
    this.#byHeader.set(authorization, token);
    this.#headers.set(token, authorization);
  }

  #tokenOf(secret: string | undefined): Token | undefined {
    return secret === undefined ? undefined : this.#tokens.get(digestOf(secret));
  }
}

/**
 * Parses the tokens file. Each line has a name, the SHA-256 of the secret (hex), scopes (separated by commas) and an
 * optional expiry, separated by spaces or tabs. Several lines may have one name: while a secret is replaced, the old and
 * the new one are valid, and share the rate of the name. A `#` starts a comment. Lines end only at LF or CR LF: text that an
 * editor shows as part of a comment must never become a token, whatever Unicode or a regular expression treats as a
 * line break.
 *
 * @throws TokensFileError with every fault and its line. Nothing from the file is quoted: a misplaced field may be a
 *   secret.
 */
export function parseTokens(text: string): readonly Token[] {
  const tokens: Token[] = [];
  const faults: string[] = [];
  const lineOfDigest = new Map<string, number>();
  for (const [index, line] of withoutByteOrderMark(text).split(/\r?\n/).entries()) {
    const lineNumber = index + 1;
    const fields = fieldsOf(line);
    if (fields.length === 0) {
      continue;
    }
    const token = parseToken(fields, (fault) => faults.push(`line ${lineNumber}: ${fault}`));
    if (token === undefined) {
      continue;
    }
    const sameDigest = lineOfDigest.get(token.digest);
    if (sameDigest !== undefined) {
      faults.push(`line ${lineNumber}: it has the same SHA-256 as line ${sameDigest}; ${MAKE_ONE}`);
    }
    lineOfDigest.set(token.digest, lineNumber);
    tokens.push(token);
  }
  if (faults.length > 0) {
    throw new TokensFileError(faults);
  }
  return tokens;
}

/** A token as a line of the file. */
export function formatToken(token: Token): string {
  const fields = [token.name, token.digest, [...token.scopes].join(",")];
  if (token.expiresAt !== undefined) {
    fields.push(new Date(token.expiresAt).toISOString());
  }
  return fields.join(" ");
}

function withoutByteOrderMark(text: string): string {
  return text.startsWith("\uFEFF") ? text.slice(1) : text;
}

function fieldsOf(line: string): string[] {
  const [fields = ""] = line.split("#", 1);
  return fields.split(/[ \t]+/).filter((field) => field !== "");
}

function parseToken(fields: readonly string[], onFault: (fault: string) => void): Token | undefined {
  const [name = "", digest = "", scopeList = "", expiry] = fields;
  if (fields.length < 3 || fields.length > 4) {
    onFault(`it has ${fields.length} fields; expected ${FIELDS}, separated by spaces; ${MAKE_ONE}`);
    return undefined;
  }
  const faults: string[] = [];
  if (!isTokenName(name)) {
    faults.push(`the first field is not a valid name: use ${NAME_RULE}`);
  }
  if (!DIGEST.test(digest)) {
    faults.push(`the second field is not a SHA-256 of 64 hex digits; ${MAKE_ONE}`);
  }
  const scopes = parseScopes(scopeList);
  if (scopes === undefined) {
    faults.push(`the third field is not a list of scopes: use ${SCOPES.join(", ")}, separated by commas`);
  }
  const expiresAt = expiry === undefined ? undefined : parseExpiry(expiry);
  if (expiry !== undefined && expiresAt === undefined) {
    faults.push(`the fourth field is not an expiry: use ${EXPIRY_RULE}`);
  }
  faults.forEach(onFault);
  return scopes === undefined || faults.length > 0
    ? undefined
    : { name, digest: digest.toLowerCase(), scopes, expiresAt };
}

function parseScopes(list: string): ReadonlySet<Scope> | undefined {
  const words = list.split(",");
  return words.every(isScope) ? new Set(words) : undefined;
}
