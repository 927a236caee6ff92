import type { AuditLogger } from "../../src/telemetry/logger.ts";

/** A logger that drops everything. */
export const silentLogger: AuditLogger = {
  isDebug: false,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  audit: () => undefined,
};
