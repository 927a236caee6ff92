import { TokensFileError } from "./errors.ts";
import type { Scope } from "./scope.ts";
import { SCOPES, isScope } from "./scope.ts";
import type { Token } from "./token.ts";
import { EXPIRY_RULE, NAME_RULE, isTokenName, parseExpiry } from "./token.ts";

const DIGEST = /^[0-9a-f]{64}$/i;
const FIELDS = "name, SHA-256 of the secret, scopes and, if it expires, when";
const MAKE_ONE = "make one with: npm run --silent token -- NAME SCOPE...";

/**
 * Reads the file of tokens: one a line, with blanks between name, SHA-256 of the secret (hex), scopes (separated by
 * commas) and, optionally, expiry. What follows a `#` is a comment.
 *
 * @throws TokensFileError with every fault and its line. Nothing of the file is quoted: what stands in the wrong place
 * may be a secret.
 */
export function parseTokens(text: string): readonly Token[] {
  const tokens: Token[] = [];
  const faults: string[] = [];
  const lineOfName = new Map<string, number>();
  const lineOfDigest = new Map<string, number>();
  for (const [index, line] of text.split(/\r\n|\r|\n/).entries()) {
    const lineNumber = index + 1;
    const fields = fieldsOf(line);
    if (fields.length === 0) {
      continue;
    }
    const token = parseToken(fields, (fault) => faults.push(`line ${lineNumber}: ${fault}`));
    if (token === undefined) {
      continue;
    }
    const sameName = lineOfName.get(token.name);
    const sameDigest = lineOfDigest.get(token.digest);
    if (sameName !== undefined) {
      faults.push(`line ${lineNumber}: its name is that of line ${sameName}; give each token a name of its own`);
    }
    if (sameDigest !== undefined) {
      faults.push(`line ${lineNumber}: its SHA-256 is that of line ${sameDigest}; ${MAKE_ONE}`);
    }
    lineOfName.set(token.name, lineNumber);
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

function fieldsOf(line: string): string[] {
  return line
    .replace(/#.*/, "")
    .split(/\s+/)
    .filter((field) => field !== "");
}

function parseToken(fields: readonly string[], onFault: (fault: string) => void): Token | undefined {
  const [name = "", digest = "", scopeList = "", expiry] = fields;
  if (fields.length < 3 || fields.length > 4) {
    onFault(`it has ${fields.length} fields; wanted are ${FIELDS}, with blanks between; ${MAKE_ONE}`);
    return undefined;
  }
  const faults: string[] = [];
  if (!isTokenName(name)) {
    faults.push(`the first field is no name; allowed is ${NAME_RULE}`);
  }
  if (!DIGEST.test(digest)) {
    faults.push(`the second field is no SHA-256 of 64 hex digits; ${MAKE_ONE}`);
  }
  const scopes = parseScopes(scopeList);
  if (scopes === undefined) {
    faults.push(`the third field is no list of scopes; allowed are ${SCOPES.join(", ")}, with commas between`);
  }
  const expiresAt = expiry === undefined ? undefined : parseExpiry(expiry);
  if (expiry !== undefined && expiresAt === undefined) {
    faults.push(`the fourth field is no expiry; allowed is ${EXPIRY_RULE}`);
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
