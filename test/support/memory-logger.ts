import type { AuditLogger, LogFields } from "../../src/telemetry/logger.ts";

interface Line {
  readonly level: "debug" | "info" | "warn" | "error" | "audit";
  readonly message: string;
  readonly fields: LogFields;
}

/** A logger that keeps its lines for a test to read. */
export class MemoryLogger implements AuditLogger {
  readonly lines: Line[] = [];
  readonly isDebug = true;

  debug(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: "debug", message, fields });
  }

  info(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: "info", message, fields });
  }

  warn(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: "warn", message, fields });
  }

  error(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: "error", message, fields });
  }

  audit(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: "audit", message, fields });
  }
}
