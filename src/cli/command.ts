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

/** How many characters must be changed, added, left out or swapped with the next to get from one word to the other. */
function distanceOf(from: string, to: string): number {
  let rowBefore: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let index = 1; index <= from.length; index++) {
    const next = [index];
    for (let column = 1; column <= to.length; column++) {
      const isSame = from[index - 1] === to[column - 1];
      const isSwapped = from[index - 1] === to[column - 2] && from[index - 2] === to[column - 1];
      next.push(
        Math.min(
          at(row, column - 1) + (isSame ? 0 : 1),
          at(row, column) + 1,
          at(next, column - 1) + 1,
          isSwapped ? at(rowBefore, column - 2) + 1 : Infinity,
        ),
      );
    }
    [rowBefore, row] = [row, next];
  }
  return at(row, to.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity;
}

/** Aborts at SIGINT or SIGTERM. Ctrl-C arrives twice: the terminal sends it, and npm passes it on. */
export function untilInterrupted(): AbortSignal {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new Error("interrupted"));
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  return interrupted.signal;
}
