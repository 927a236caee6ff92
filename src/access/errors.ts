import { DomainError } from "../vehicle/errors.ts";
import type { Scope } from "./token.ts";

/** The caller's token does not allow this. */
export class ScopeMissingError extends DomainError {
  override readonly name = "ScopeMissingError";
  readonly reason = "SCOPE_MISSING";
  readonly scope: Scope;

  constructor(scope: Scope) {
    super(`the token lacks the scope "${scope}"; contact the operator`);
    this.scope = scope;
  }
}

/** The tokens file cannot be used. The message has one line per fault and quotes nothing from the file. */
export class TokensFileError extends Error {
  override readonly name = "TokensFileError";
  /** Such as `line 3: ...`. */
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`AUTH_TOKENS_FILE: the tokens file is not usable:\n${faults.map((fault) => `  ${fault}`).join("\n")}`);
    this.faults = faults;
  }
}
