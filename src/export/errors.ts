import { DomainError } from "../vehicle/errors.ts";

/** Too many exports run. */
export class ExportLimitError extends DomainError {
  override readonly name = "ExportLimitError";
  readonly reason = "TOO_MANY_EXPORTS";
  /** When asking again may help, in ms from now. */
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The disk has no room for the export. The cache is unharmed. */
export class ExportStorageError extends DomainError {
  override readonly name = "ExportStorageError";
  readonly reason = "NO_ROOM_FOR_EXPORT";
}

/** The reader of an export took nothing for too long and was cut off. */
export class ExportStalledError extends DomainError {
  override readonly name = "ExportStalledError";
  readonly reason = "EXPORT_STALLED";
}

/** The export could not be made; why is in the message and the cause, for the log. */
export class ExportFailedError extends Error {
  override readonly name = "ExportFailedError";
}
