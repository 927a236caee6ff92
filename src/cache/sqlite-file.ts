import { fstatSync, type Stats, statSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import type { Database, Statement } from "better-sqlite3";

/** The file of an open database was removed, replaced or emptied. SQLite itself keeps writing to an unlinked file. */
export class DatabaseFileLostError extends Error {
  override readonly name = "DatabaseFileLostError";
}

const COMPANIONS = ["", "-wal", "-shm"] as const;
const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

/** The files of a database, as they were when it was opened. */
export class SqliteFile implements AsyncDisposable {
  readonly #path: string;
  readonly #identities: readonly (string | undefined)[];
  readonly #log: FileHandle;
  /** Reads how many pages SQLite has written to the log since it last restarted the log. Changes nothing. */
  readonly #logState: Statement<[], [busy: number, frames: number, checkpointed: number]>;
  readonly #frameBytes: number;
  #flushing: Promise<void> = Promise.resolve();
  #nextFlush: Promise<void> | undefined;

  private constructor(client: Database, log: FileHandle) {
    this.#path = client.name;
    this.#log = log;
    this.#logState = client
      .prepare<[], [busy: number, frames: number, checkpointed: number]>("pragma wal_checkpoint(NOOP)")
      .raw(true);
    this.#frameBytes = FRAME_HEADER_BYTES + Number(client.pragma("page_size", { simple: true }));
    this.#identities = COMPANIONS.map((companion) => identify(`${client.name}${companion}`));
  }

  /** @param client a connection to a database with a write-ahead log. */
  static async of(client: Database): Promise<SqliteFile> {
    return new SqliteFile(client, await open(`${client.name}-wal`, "r+"));
  }

  /** The size of the log. */
  get logBytes(): number {
    return fstatSync(this.#log.fd).size;
  }

  /**
   * Call this before each write. SQLite keeps the log's pages in memory and does not notice when another program
   * truncates the file. It would append after the gap, and a crash would lose committed writes. When the log was
   * deleted, another process may have begun a new one, and moving the pages of the old one into the database would undo
   * what that process has committed.
   *
   * @throws DatabaseFileLostError when a file was removed or replaced, the database was emptied or the log was
   *   truncated.
   */
  assertInPlace(): void {
    for (const [index, companion] of COMPANIONS.entries()) {
      const stats = statsOf(`${this.#path}${companion}`);
      if (identityOf(stats) !== this.#identities[index]) {
        throw new DatabaseFileLostError(`the database file${companion} was removed or replaced`);
      }
      if (companion === "" && stats?.size === 0) {
        throw new DatabaseFileLostError("the database file was emptied");
      }
    }
    // Another process may restart the log between reading its two sizes; then they match the second time.
    if (!this.#isLogWhole() && !this.#isLogWhole()) {
      throw new DatabaseFileLostError("the write-ahead log of the database was truncated");
    }
  }

  /**
   * Resolves when everything committed before the call survives a loss of power. Calls during a flush share the next
   * one. Unlike `synchronous=FULL`, this does not block the event loop.
   */
  flush(): Promise<void> {
    this.#nextFlush ??= this.#flushing.then(() => {
      this.#nextFlush = undefined;
      const flushed = this.#log.datasync();
      this.#flushing = flushed.catch(() => undefined);
      return flushed;
    });
    return this.#nextFlush;
  }

  /** See {@link quarantine}. */
  async quarantine(now: number): Promise<string | undefined> {
    return quarantine(this.#path, this.#identities[0], now);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#nextFlush?.catch(() => undefined);
    await this.#flushing;
    await this.#log.close();
  }

  #isLogWhole(): boolean {
    const [, frames = 0] = this.#logState.get() ?? [];
    return frames === 0 || this.logBytes >= LOG_HEADER_BYTES + frames * this.#frameBytes;
  }
}

/**
 * Renames a database, its log and the log's index to `*.corrupt-<time>`. Does nothing if another process has already
 * created a new file there.
 *
 * @param identity of the database, from {@link identify}.
 * @param now the time in ms since the epoch.
 * @returns the new name, or undefined when nothing was renamed.
 */
export async function quarantine(path: string, identity: string | undefined, now: number): Promise<string | undefined> {
  if (identity === undefined || identify(path) !== identity) {
    return undefined;
  }
  const time = new Date(now).toISOString().replaceAll(/[:.]/g, "-");
  // The database goes first. SQLite discards a log without a database, but a database without its log loses commits.
  for (const companion of COMPANIONS) {
    await rename(`${path}${companion}`, `${path}.corrupt-${time}${companion}`).catch(ignoreMissing);
  }
  return `${path}.corrupt-${time}`;
}

/** Identifies the file at this path, so that a replacement is recognized. Undefined if there is none. */
export function identify(path: string): string | undefined {
  return identityOf(statsOf(path));
}

/** Whether the file at this path exists and has no content. */
export function isEmpty(path: string): boolean {
  return statsOf(path)?.size === 0;
}

function identityOf(stats: Stats | undefined): string | undefined {
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`;
}

function statsOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") {
    throw error;
  }
}
