import type { ParseArgsOptionsConfig } from "node:util";
import { parseArgs } from "node:util";

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

/** The end of a message about an unknown word: which known word is likely meant, if one is near. */
export function suggest(word: string, known: readonly string[], prefix = ""): string {
  const near = known
    .map((candidate) => ({ candidate, distance: distanceOf(word.toLowerCase(), candidate.toLowerCase()) }))
    .toSorted((a, b) => a.distance - b.distance)
    .find(({ candidate, distance }) => distance <= Math.max(1, candidate.length / 3));
  return near === undefined ? "" : `; did you mean ${prefix}${near.candidate}?`;
}

/** How many characters must be changed, added or left out to get from one word to the other. */
function distanceOf(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [index, character] of Array.from(from).entries()) {
    const next = [index + 1];
    for (let column = 1; column <= to.length; column++) {
      const changed = (row[column - 1] ?? 0) + (to[column - 1] === character ? 0 : 1);
      next.push(Math.min(changed, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
/** Aborts at SIGINT or SIGTERM. Ctrl-C arrives twice: the terminal sends it, and npm passes it on. */
export function untilInterrupted(): AbortSignal {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new Error("interrupted"));
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  return interrupted.signal;
}
