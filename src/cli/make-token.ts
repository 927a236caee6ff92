import { suggest } from "../table/suggest.ts";
import { formatToken } from "../access/token-book.ts";
import type { Scope } from "../access/token.ts";
import { digestOf, isScope, isTokenName, parseExpiry, SCOPES } from "../access/token.ts";
import { parseArguments, UsageError } from "./command.ts";

/** A new token. Its secret is stored nowhere else. */
export interface NewToken {
  /** For `AUTH_TOKENS_FILE`. */
  readonly line: string;
  /** For the token's owner. Starts with `vs_`, so that scanners for leaked secrets recognize it. */
  readonly secret: string;
}

/** For `parseArguments`. */
export const TOKEN_OPTIONS = { expires: { type: "string" } } as const;

const SECRET_BYTES = 32;

/**
 * Makes a token from the arguments of the command line.
 *
 * @param randomBytes returns that many unpredictable bytes.
 * @param now the time in ms since the epoch.
 * @throws UsageError that names the wrong argument.
 */
export function makeToken(args: readonly string[], randomBytes: (count: number) => Buffer, now: number): NewToken {
  const { name, scopes, expiresAt } = parseTokenArguments(args, now);
  const secret = `vs_${randomBytes(SECRET_BYTES).toString("base64url")}`;
  return { line: formatToken({ name, digest: digestOf(secret), scopes, expiresAt }), secret };
}

function parseTokenArguments(
  args: readonly string[],
  now: number,
): { name: string; scopes: ReadonlySet<Scope>; expiresAt: number | undefined } {
  const { positionals, values } = parseArguments(args, TOKEN_OPTIONS);
  const [name = "", ...words] = positionals;
  if (!isTokenName(name)) {
    throw new UsageError(name === "" ? "the name is missing" : `${JSON.stringify(name)} is not a valid name`);
  }
  const wrong = words.find((word) => !isScope(word));
  if (wrong !== undefined) {
    throw new UsageError(`${JSON.stringify(wrong)} is not a scope${suggest(wrong, SCOPES)}`);
  }
  if (words.length === 0) {
    throw new UsageError("the scope is missing");
  }
  const expiresAt = values.expires === undefined ? undefined : parseExpiry(values.expires);
  if (values.expires !== undefined && (expiresAt === undefined || expiresAt <= now)) {
    const fault = expiresAt === undefined ? "is not a date" : "is in the past";
    throw new UsageError(`--expires: ${JSON.stringify(values.expires)} ${fault}`);
  }
  return { name, scopes: new Set(words.filter(isScope)), expiresAt };
}
