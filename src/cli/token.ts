import { randomBytes } from "node:crypto";
import type { NewToken } from "./make-token.ts";
import { makeToken } from "./make-token.ts";

let token: NewToken | undefined;
try {
  token = makeToken(process.argv.slice(2), randomBytes, Date.now());
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
if (token !== undefined) {
  // Two streams, so that the line can be appended to a file without the secret.
  process.stdout.write(`${token.line}\n`);
  process.stderr.write(`secret (shown only once): ${token.secret}\n`);
}
