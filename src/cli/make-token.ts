import { parseArgs } from "node:util";
import { formatToken } from "../access/parse-tokens.ts";
import type { Scope } from "../access/token.ts";
import { digestOf, EXPIRY_RULE, isScope, isTokenName, NAME_RULE, parseExpiry, SCOPES } from "../access/token.ts";

/** A new token. Its secret is stored nowhere else. */
export interface NewToken {
  /** For `AUTH_TOKENS_FILE`. */
  readonly line: string;
  /** For the token's owner. Starts with `vs_`, so that scanners for leaked secrets recognize it. */
  readonly secret: string;
}

const SECRET_BYTES = 32;
const USAGE = `usage: npm run --silent token -- NAME SCOPE... [--expires WHEN]

  NAME      ${NAME_RULE}
  SCOPE     ${SCOPES.join(", ")}; one or more
  --expires ${EXPIRY_RULE}

Writes a line for AUTH_TOKENS_FILE to standard output, and the secret to standard error. The secret is shown only once.`;

/**
 * Makes a token from the arguments of the command line.
 *
 * @param randomBytes returns that many unpredictable bytes.
 * @param now the time in ms since the epoch.
 * @throws Error that names the wrong argument and shows the usage.
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
    throw refuse(name === "" ? "the name is missing" : `${JSON.stringify(name)} is not a valid name`);
  }
  const wrong = words.find((word) => !isScope(word));
  if (wrong !== undefined) {
    throw refuse(`${JSON.stringify(wrong)} is not a scope`);
  }
  if (words.length === 0) {
    throw refuse("the scope is missing");
  }
  const expiresAt = values.expires === undefined ? undefined : parseExpiry(values.expires);
  if (values.expires !== undefined && (expiresAt === undefined || expiresAt <= now)) {
    const fault = expiresAt === undefined ? "is not a date" : "is in the past";
    throw refuse(`--expires: ${JSON.stringify(values.expires)} ${fault}`);
  }
  return { name, scopes: new Set(words.filter(isScope)), expiresAt };
}

function parseCommandLine(args: readonly string[]): { positionals: string[]; values: { expires?: string } } {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: { expires: { type: "string" } } });
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : "invalid arguments");
  }
}

function refuse(fault: string): Error {
  return new Error(`${fault}\n\n${USAGE}`);
}
