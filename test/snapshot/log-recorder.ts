import type { Logger, LogFields } from "../../src/telemetry/logger.ts";

interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: LogFields;
}

/** A logger that records its lines. */
export class LogRecorder implements Logger {
  readonly lines: LogLine[] = [];
  readonly #waiters: { readonly step: string; readonly resolve: () => void }[] = [];

  readonly #firstError = Promise.withResolvers<LogLine>();

  /** Resolves when unpacking has reached a step. */
  reached(step: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push({ step, resolve });
    });
  }

  /** Resolves to the first line of level `error`. */
  firstError(): Promise<LogLine> {
    return this.#firstError.promise;
  }

  debug(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: "debug", message, fields });
  }

  info(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: "info", message, fields });
    for (const waiter of this.#waiters.filter(({ step }) => step === fields["step"])) {
      waiter.resolve();
    }
  }

  warn(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: "warn", message, fields });
  }

  error(message: string, fields: LogFields = {}): void {
    const line: LogLine = { level: "error", message, fields };
    this.lines.push(line);
    this.#firstError.resolve(line);
  }

  /** The messages at a level, in order. */
  messages(level: LogLine["level"]): string[] {
    return this.lines.filter((line) => line.level === level).map((line) => line.message);
  }
}
