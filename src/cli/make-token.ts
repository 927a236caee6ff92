import { parseArgs } from "node:util";
import { formatToken } from "../access/parse-tokens.ts";
import type { Scope } from "../access/token.ts";
import { digestOf, EXPIRY_RULE, isScope, isTokenName, NAME_RULE, parseExpiry, SCOPES } from "../access/token.ts";

/** A token just made: the secret is nowhere but here. */
export interface NewToken {
  /** For the file of tokens. */
  readonly line: string;
  /** For the token's owner. Begins with `vs_`, so that scanners for leaked secrets can know it. */
  readonly secret: string;
}

const SECRET_BYTES = 32;
const USAGE = `usage: npm run --silent token -- NAME SCOPE... [--expires WHEN]

  NAME      ${NAME_RULE}
  SCOPE     ${SCOPES.join(", ")}; one or more
  --expires ${EXPIRY_RULE}

Prints the line for AUTH_TOKENS_FILE to standard output and the secret, once, to standard error.`;

/**
 * Makes a token from the arguments of the command line.
 *
 * @param randomBytes gives so many bytes that nobody can guess
 * @param now wall clock, ms since the epoch
 * @throws Error whose message says what is wrong with the arguments and what is allowed
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
  const { positionals, values } = parseCommandLine(args);
  const [name = "", ...words] = positionals;
  if (!isTokenName(name)) {
    throw refuse(name === "" ? "a name is missing" : `${JSON.stringify(name)} is no name`);
  }
  const wrong = words.find((word) => !isScope(word));
  if (wrong !== undefined) {
    throw refuse(`${JSON.stringify(wrong)} is no scope`);
  }
  if (words.length === 0) {
    throw refuse("a scope is missing");
  }
  const expiresAt = values.expires === undefined ? undefined : parseExpiry(values.expires);
  if (values.expires !== undefined && (expiresAt === undefined || expiresAt <= now)) {
    const fault = expiresAt === undefined ? "is no date" : "is past";
    throw refuse(`--expires: ${JSON.stringify(values.expires)} ${fault}`);
  }
  return { name, scopes: new Set(words.filter(isScope)), expiresAt };
}

function parseCommandLine(args: readonly string[]): { positionals: string[]; values: { expires?: string } } {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: { expires: { type: "string" } } });
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : "not understood");
  }
}

function refuse(fault: string): Error {
  return new Error(`${fault}\n\n${USAGE}`);
}
