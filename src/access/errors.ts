import type { Scope } from "./scope.ts";

/** The caller was not let in: it is not known who it is, or it asks too much. */
export abstract class NotAdmittedError extends Error {}

/** The caller has shown no token, and one is needed. */
export class TokenMissingError extends NotAdmittedError {
  override readonly name = "TokenMissingError";

  constructor() {
    super('a token is needed: send the header "authorization: Bearer <secret>"');
  }
}

/** The token that the caller has shown is none of ours, or has expired. Which of both is not told. */
export class TokenUnknownError extends NotAdmittedError {
  override readonly name = "TokenUnknownError";

  constructor() {
    super("the token is unknown or has expired; ask whoever runs the service for a new one");
  }
}

/** The caller's token does not allow this. */
export class ScopeMissingError extends Error {
  override readonly name = "ScopeMissingError";
  readonly scope: Scope;

  constructor(scope: Scope) {
    super(`the token lacks the scope "${scope}"; ask whoever runs the service for one that has it`);
    this.scope = scope;
  }
}

/** The caller has asked for more than its rate allows. */
export class RateLimitError extends NotAdmittedError {
  override readonly name = "RateLimitError";
  /** When asking again will help, in ms from now. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super("more was asked for than one caller's rate allows; slow down");
    this.retryAfterMs = retryAfterMs;
  }
}

/** The service has more calls than it can answer in time. */
export class OverloadedError extends NotAdmittedError {
  override readonly name = "OverloadedError";
  /** When asking again may help, in ms from now. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super("the service has more calls than it can answer in time; ask again later");
    this.retryAfterMs = retryAfterMs;
  }
}

/** The file of tokens cannot be used. The message has one line a fault and quotes nothing of the file. */
export class TokensFileError extends Error {
  override readonly name = "TokensFileError";
  /** Such as `line 3: ...`. */
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`AUTH_TOKENS_FILE: the file of tokens is not usable:\n${faults.map((fault) => `  ${fault}`).join("\n")}`);
    this.faults = faults;
  }
}
