/** Data that goes with a log line; an error goes under `err`. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A structured logger: messages are static, what varies is in the fields. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}
