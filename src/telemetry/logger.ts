import { pino } from "pino";
import { toLoggedError } from "./logged-error.ts";
import { currentRequestId } from "./request-context.ts";

/** Fields of a log line. An error goes under `err`. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A structured logger: messages are static, data goes into the fields. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** A logger that also records who did what. */
export interface AuditLogger extends Logger {
  /** Writes at every log level, as `info`. */
  audit(message: string, fields?: LogFields): void;
}

/** From the most verbose to none. */
export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

/** The lowest level that is written. Audit lines are written at every level. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * Creates a logger that writes one JSON object per line, with `level` as a word and `time` in ISO 8601. Lines logged
 * for a request have its `requestId`.
 *
 * @param destination receives the lines. Default: standard output.
 * @param base fields of every line. Default: none.
 */
export function createLogger(
  level: LogLevel,
  destination?: { write(line: string): void },
  base: LogFields | null = null,
): AuditLogger {
  const options = {
    level,
    base,
    mixin(): object {
      const requestId = currentRequestId();
      return requestId === undefined ? {} : { requestId };
    },
    timestamp: (): string => `,"time":"${new Date().toISOString()}"`,
    serializers: { err: (error: unknown) => toLoggedError(error) },
    formatters: { level: (label: string): { level: string } => ({ level: label }) },
  };
  const target = destination === undefined ? pino(options) : pino(options, destination);
  const always = target.child({}, { level: "info" });
  return {
    debug: (message, fields = {}) => target.debug(fields, message),
    info: (message, fields = {}) => target.info(fields, message),
    warn: (message, fields = {}) => target.warn(fields, message),
    error: (message, fields = {}) => target.error(fields, message),
    audit: (message, fields = {}) => always.info(fields, message),
  };
}
