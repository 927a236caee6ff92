import { setTimeout } from "node:timers/promises";

import type { Database } from "better-sqlite3";

export interface WalBudgetOptions {
  /** Maximum size of the write-ahead log for ordinary writes. Default: 32 MiB. */
  readonly maxBytes?: number;
  /** How long a write may wait for room. Default: 200 ms. */
  readonly timeoutMs?: number;
}

const DEFAULT_MAX_BYTES = 32 * 1_048_576;
const DEFAULT_TIMEOUT_MS = 200;
const POLL_MS = 10;

/**
 * Limits the size of SQLite's write-ahead log. While an export reads a snapshot, in this process or another, SQLite
 * cannot reuse the log, so every write makes it longer. Ask {@link hasRoom} or {@link waitForRoom} before writes
 * that can wait or be dropped.
 */
export class WalBudget {
  readonly #client: Database;
  readonly #logBytes: () => number;
  readonly #maxBytes: number;
  readonly #timeoutMs: number;

  /**
   * @param client the connection that writes.
   * @param logBytes reads the size of the log.
   */
  constructor(client: Database, logBytes: () => number, options: WalBudgetOptions = {}) {
    this.#client = client;
    this.#logBytes = logBytes;
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    // SQLite truncates the file when it restarts the log, so that its size shows whether there is room.
    client.pragma(`journal_size_limit = ${Math.floor(this.#maxBytes / 2)}`);
  }

  /** Whether the log has room now. */
  hasRoom(): boolean {
    if (this.#logBytes() <= this.#maxBytes) {
      return true;
    }
    // The next write may restart the log.
    const [state] = toCheckpointStates(this.#client.pragma("wal_checkpoint(PASSIVE)"));
    return state !== undefined && state.busy === 0 && state.log === state.checkpointed;
  }

  /**
   * Waits until the log has room.
   *
   * @returns false if it still has none; then the caller must not write.
   */
  async waitForRoom(): Promise<boolean> {
    for (let waitedMs = 0; !this.hasRoom(); waitedMs += POLL_MS) {
      if (waitedMs >= this.#timeoutMs) {
        return false;
      }
      await setTimeout(POLL_MS);
    }
    return true;
  }
}

interface CheckpointState {
  readonly busy: number;
  /** Pages in the log. */
  readonly log: number;
  /** Pages of the log that are also in the database. When all are, the next write restarts the log. */
  readonly checkpointed: number;
}

function toCheckpointStates(result: unknown): CheckpointState[] {
  return Array.isArray(result) ? result.filter(isCheckpointState) : [];
}

function isCheckpointState(value: unknown): value is CheckpointState {
  return typeof value === "object" && value !== null && "busy" in value && "log" in value && "checkpointed" in value;
}
