import { randomBytes } from "node:crypto";
import { EXPIRY_RULE, NAME_RULE, SCOPES } from "../access/token.ts";
import type { Command } from "./command.ts";
import { makeToken, TOKEN_OPTIONS } from "./make-token.ts";

/** Makes a token for `AUTH_TOKENS_FILE`. */
export const tokenCommand: Command = {
  help: `usage: vehicle-service token NAME SCOPE... [--expires WHEN]

Makes a token. Writes a line for AUTH_TOKENS_FILE to standard output, and the secret for
the caller to standard error. The secret is shown only once.

  NAME            ${NAME_RULE}
  SCOPE           what the caller may do: ${SCOPES.join(", ")}; one or more
  --expires WHEN  ${EXPIRY_RULE.replace(" or ", " or\n                  ")}

examples:
  vehicle-service token billing lookup export --expires 2027-12-31 >> tokens

exit codes: 0 done, 2 wrong arguments`,
  options: TOKEN_OPTIONS,
  faultCode: 2,
  run(args) {
    const { line, secret } = makeToken(args, randomBytes, Date.now());
    // Two streams, so that the line can be appended to a file without the secret.
    process.stdout.write(`${line}\n`);
    process.stderr.write(`secret (shown only once): ${secret}\n`);
    return Promise.resolve(0);
  },
};
