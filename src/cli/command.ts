import type { ParseArgsOptionsConfig } from "node:util";
import { parseArgs } from "node:util";
import { suggest } from "../table/suggest.ts";

/** One command of `vehicle-service`. */
export interface Command {
  /** Usage, options, examples and exit codes. */
  readonly help: string;
  /** For {@link parseArguments}. */
  readonly options: ParseArgsOptionsConfig;
  /** The exit code when it throws something other than a UsageError. */
  readonly faultCode: 1 | 2;
  /**
   * @returns the exit code.
   * @throws UsageError when the arguments are wrong.
   */
  run(args: readonly string[]): Promise<number>;
}

/** The arguments are wrong; the exit code is 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** @throws UsageError that names the wrong option and the option that is likely meant. */
export function parseArguments<const Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: Options,
): ReturnType<typeof parseArgs<{ options: Options; allowPositionals: true }>> {
  const { tokens } = parseArgs({ args: [...args], options, allowPositionals: true, strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind === "option" && !Object.hasOwn(options, token.name)) {
      throw new UsageError(`unknown option ${token.rawName}${suggest(token.name, Object.keys(options), "--")}`);
    }
  }
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Aborts at SIGINT or SIGTERM. Ctrl-C arrives twice: the terminal sends it, and npm passes it on. */
export function untilInterrupted(): AbortSignal {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new Error("interrupted"));
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  return interrupted.signal;
}
