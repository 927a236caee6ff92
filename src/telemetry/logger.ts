import type { Writable } from "node:stream";
import { pino } from "pino";
import { toLoggedError } from "./logged-error.ts";
import { currentRequestId } from "./request-context.ts";

/** Fields of a log line. The field for an error is `err`. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A structured logger. Messages are static; data goes into the fields. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** A logger that also records who did what. */
export interface AuditLogger extends Logger {
  /** Whether `debug` writes anything, for callers whose fields take time to collect. */
  readonly isDebug: boolean;
  /** Writes a line with the level `info`, even if the logger's level is higher. */
  audit(message: string, fields?: LogFields): void;
}

/** The log levels, from the most verbose to none. */
export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

/** The lowest level that is written. Audit lines are always written. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** How much of a VIN is written. */
export const LOG_VINS = ["full", "partial", "off"] as const;

/** `partial` hides the serial number, which identifies a single vehicle. */
export type LogVins = (typeof LOG_VINS)[number];

/** The first characters of a VIN: maker, attributes, check digit, model year and plant. */
const WITHOUT_SERIAL = 11;

/** Receives the lines of a logger. */
export interface LogDestination {
  write(line: string): void;
}

/**
 * Creates a logger that writes one JSON object per line, with `level` as a word and `time` in ISO 8601. Lines that are
 * logged on behalf of a request have its `requestId`.
 *
 * @param destination Default: standard output.
 * @param base fields of every line. Default: none.
 * @param vins how much of the field `vin` is written. With `partial`, audit lines still have the full VIN, because they
 *   must say what was removed. Default: `partial`.
 */
export function createLogger(
  level: LogLevel,
  destination?: LogDestination,
  base: LogFields | null = null,
  vins: LogVins = "partial",
): AuditLogger {
  const options = {
    level,
    base,
    mixin(): object {
      const requestId = currentRequestId();
      return requestId === undefined ? {} : { requestId };
    },
    timestamp: (): string => `,"time":"${new Date().toISOString()}"`,
    serializers: {
      err: (error: unknown) => toLoggedError(error),
      vin: (vin: unknown) => toLoggedVin(vin, vins),
    },
    formatters: { level: (label: string): { level: string } => ({ level: label }) },
  };
  const target = destination === undefined ? pino(options) : pino(options, destination);
  const auditedVins = vins === "partial" ? "full" : vins;
  const always = target.child(
    {},
    { level: "info", serializers: { vin: (vin: unknown) => toLoggedVin(vin, auditedVins) } },
  );
  return {
    isDebug: level === "debug",
    debug: (message, fields = {}) => target.debug(fields, message),
    info: (message, fields = {}) => target.info(fields, message),
    warn: (message, fields = {}) => target.warn(fields, message),
    error: (message, fields = {}) => target.error(fields, message),
    audit: (message, fields = {}) => always.info(fields, message),
  };
}

/** A destination that formats lines for people, if the stream is a terminal. Otherwise undefined: lines stay JSON. */
export async function openTerminalLog(
  stream: Writable & { readonly isTTY?: boolean },
): Promise<LogDestination | undefined> {
  if (!stream.isTTY) {
    return undefined;
  }
  // Loaded only here, because nothing else needs it.
  const { default: pretty } = await import("pino-pretty");
  return pretty({ destination: stream, translateTime: "SYS:HH:MM:ss.l", singleLine: true });
}

/** The part of a VIN that may be written; undefined when the field is left out. */
function toLoggedVin(vin: unknown, vins: LogVins): unknown {
  if (vins === "off") {
    return undefined;
  }
  return vins === "partial" && typeof vin === "string"
    ? vin.slice(0, WITHOUT_SERIAL) + "*".repeat(Math.max(0, vin.length - WITHOUT_SERIAL))
    : vin;
}
