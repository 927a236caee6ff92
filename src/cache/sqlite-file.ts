import { type Stats, statSync } from "node:fs";
import { rename } from "node:fs/promises";

/** The file of an open database is gone, was replaced or emptied. SQLite itself goes on silently in an unlinked file. */
export class DatabaseFileLostError extends Error {
  override readonly name = "DatabaseFileLostError";
}

const COMPANIONS = ["", "-wal", "-shm"];

/** A database's file as it was when it was opened. */
export class SqliteFile {
  readonly path: string;
  readonly #identity: string | undefined;

  /** Remembers which file stands at this path now, if any. */
  constructor(path: string) {
    this.path = path;
    this.#identity = identify(path);
  }

  /** @throws DatabaseFileLostError when another file stands in its place, or none, or it is empty. Costs about 3 us. */
  assertInPlace(): void {
    const stats = statSync(this.path, { throwIfNoEntry: false });
    if (stats === undefined || identityOf(stats) !== this.#identity) {
      throw new DatabaseFileLostError("the database file was removed or replaced");
    }
    if (stats.size === 0) {
      throw new DatabaseFileLostError("the database file was emptied");
    }
  }

  /**
   * Renames the file, and what SQLite keeps beside it, to `*.corrupt-<time>`. Does nothing when another process has put
   * a new file in its place.
   *
   * @returns the new name, or undefined when nothing was renamed.
   */
  async quarantine(now: number): Promise<string | undefined> {
    if (this.#identity === undefined || identify(this.path) !== this.#identity) {
      return undefined;
    }
    const time = new Date(now).toISOString().replaceAll(/[:.]/g, "-");
    // The database first: a log that is left without one is dropped by SQLite, a database without its log loses commits.
    for (const companion of COMPANIONS) {
      await rename(`${this.path}${companion}`, `${this.path}.corrupt-${time}${companion}`).catch(ignoreMissing);
    }
    return `${this.path}.corrupt-${time}`;
  }
}

/** Whether the file at this path exists and has no content. */
export function isEmpty(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.size === 0;
}

function identify(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? undefined : identityOf(stats);
}

function identityOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") {
    throw error;
  }
}
