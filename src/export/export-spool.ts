import { ExportLimitError } from "./errors.ts";
import type { ParquetFile } from "./parquet-file.ts";

export interface ExportSpoolOptions {
  /** Writes the file of a client. */
  readonly create: (client: string, signal: AbortSignal) => Promise<ParquetFile>;
  /** How long a file is kept after its last use. Default: 60 s. */
  readonly keepMs?: number;
  /** From which age on a file is not given to new readers. Default: 5 min. */
  readonly maxAgeMs?: number;
  /** How many files are kept at most. Default: 4. */
  readonly maxFiles?: number;
  /** The time in ms since the epoch. */
  readonly now: () => number;
}

/** A file of the spool, which stays at least until this is disposed. */
export interface SpooledFile extends Disposable {
  readonly file: ParquetFile;
}

interface Entry {
  readonly client: string;
  readonly file: Promise<ParquetFile>;
  readonly createdAt: number;
  users: number;
  expiry: NodeJS.Timeout | undefined;
}

const DEFAULT_KEEP_MS = 60_000;
const DEFAULT_MAX_AGE_MS = 300_000;
const DEFAULT_MAX_FILES = 4;
const RETRY_AFTER_MS = 5_000;

/**
 * Keeps a finished export of each client for a short time, so that a reader that comes with many requests for parts of
 * the file, sees one file. Clients never see each other's.
 */
export class ExportSpool implements AsyncDisposable {
  readonly #options: ExportSpoolOptions;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #stop = new AbortController();

  constructor(options: ExportSpoolOptions) {
    this.#options = options;
  }

  /**
   * The client's file; it is written when there is none. A writing that began is not ended by anybody who leaves: the
   * next request will want the file.
   *
   * @throws what `create` throws; ExportLimitError when every file that is kept is being read.
   */
  async open(client: string): Promise<SpooledFile> {
    const entry = this.#fresh(client) ?? this.#add(client);
    entry.users++;
    clearTimeout(entry.expiry);
    // Moved to the end: the most recently used.
    this.#entries.delete(client);
    this.#entries.set(client, entry);
    try {
      const file = await entry.file;
      let isOpen = true;
      return {
        file,
        [Symbol.dispose]: () => {
          if (isOpen) {
            isOpen = false;
            this.#release(entry);
          }
        },
      };
    } catch (error) {
      void this.#remove(entry);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const entries = Array.from(this.#entries.values());
    await Promise.all(entries.map((entry) => this.#remove(entry)));
  }

  #fresh(client: string): Entry | undefined {
    const entry = this.#entries.get(client);
    const maxAgeMs = this.#options.maxAgeMs ?? DEFAULT_MAX_AGE_MS;
    return entry !== undefined && this.#options.now() - entry.createdAt < maxAgeMs ? entry : undefined;
  }

  #add(client: string): Entry {
    const old = this.#entries.get(client);
    if (old !== undefined) {
      this.#retire(old);
    }
    if (this.#entries.size >= (this.#options.maxFiles ?? DEFAULT_MAX_FILES)) {
      this.#evict();
    }
    const { create, now } = this.#options;
    return { client, file: create(client, this.#stop.signal), createdAt: now(), users: 0, expiry: undefined };
  }

  #evict(): void {
    const idle = this.#entries.values().find(({ users }) => users === 0);
    if (idle === undefined) {
      throw new ExportLimitError("as many exported files as may be kept are being read", RETRY_AFTER_MS);
    }
    void this.#remove(idle);
  }

  /** Takes an entry away from new readers; the file goes with the last of those it has. */
  #retire(entry: Entry): void {
    this.#entries.delete(entry.client);
    if (entry.users === 0) {
      void this.#remove(entry);
    }
  }

  #release(entry: Entry): void {
    entry.users--;
    if (entry.users > 0) {
      return;
    }
    if (this.#entries.get(entry.client) === entry) {
      const keepMs = this.#options.keepMs ?? DEFAULT_KEEP_MS;
      entry.expiry = setTimeout(() => void this.#remove(entry), keepMs);
      entry.expiry.unref();
    } else {
      void this.#remove(entry);
    }
  }

  async #remove(entry: Entry): Promise<void> {
    clearTimeout(entry.expiry);
    if (this.#entries.get(entry.client) === entry) {
      this.#entries.delete(entry.client);
    }
    const [written] = await Promise.allSettled([entry.file]);
    if (written.status === "fulfilled") {
      await written.value[Symbol.asyncDispose]();
    }
  }
}
