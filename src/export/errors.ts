/** Too many exports run. */
export class ExportLimitError extends Error {
  override readonly name = "ExportLimitError";
  /** When asking again may help, in ms from now. */
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The disk has no room for the export. The cache is unharmed. */
export class ExportStorageError extends Error {
  override readonly name = "ExportStorageError";
}

/** The reader of an export took nothing for too long and was cut off. */
export class ExportStalledError extends Error {
  override readonly name = "ExportStalledError";
}

/** The export could not be made; why is in the message and the cause, for the log. */
export class ExportFailedError extends Error {
  override readonly name = "ExportFailedError";
}
