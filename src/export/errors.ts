import { DomainError } from "../vehicle/errors.ts";

/** Too many exports are running. */
export class ExportLimitError extends DomainError {
  override readonly name = "ExportLimitError";
  readonly reason = "TOO_MANY_EXPORTS";
  /** When a retry may succeed, in ms from now. */
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** There is not enough disk space for the export. The cache is not affected. */
export class ExportStorageError extends DomainError {
  override readonly name = "ExportStorageError";
  readonly reason = "NO_ROOM_FOR_EXPORT";
}

/** The export could not be written. Message and cause are for the log. */
export class ExportFailedError extends Error {
  override readonly name = "ExportFailedError";
}
