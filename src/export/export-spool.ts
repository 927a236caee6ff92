import { ExportLimitError } from "./errors.ts";
import type { ExportFile } from "./export-file.ts";

export interface ExportSpoolOptions {
  /** Writes a client's file. */
  readonly create: (client: string, signal: AbortSignal) => Promise<ExportFile>;
  /** How long a file is kept after its last use. Default: 60 s. */
  readonly keepMs?: number;
  /** How old a file may be for new readers. Default: 5 min. */
  readonly maxAgeMs?: number;
  /** Default: 4. */
  readonly maxFiles?: number;
  /** A monotonic clock, in ms. Default: the process's. */
  readonly elapsedMs?: () => number;
}

/** A file that is kept at least until this is disposed. */
export interface SpooledFile extends Disposable {
  readonly file: ExportFile;
}

interface Entry {
  readonly client: string;
  readonly file: Promise<ExportFile>;
  readonly createdAt: number;
  users: number;
  expiry: NodeJS.Timeout | undefined;
}

const DEFAULT_KEEP_MS = 60_000;
const DEFAULT_MAX_AGE_MS = 300_000;
const DEFAULT_MAX_FILES = 4;
const RETRY_AFTER_MS = 5_000;

/**
 * Keeps a finished export of each client for a short time, so that a reader that asks for many parts of the file gets
 * parts of the same file. Clients never see each other's files.
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
   * Opens the client's file, and writes it first if there is none. Writing continues if the client leaves, because its
   * next request will need the file.
   *
   * @throws the errors of `create`; ExportLimitError when every kept file is being read.
   */
  async open(client: string): Promise<SpooledFile> {
    const entry = this.#fresh(client) ?? this.#add(client);
    entry.users++;
    clearTimeout(entry.expiry);
    // Moves it to the end, as the most recently used.
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
    return entry !== undefined && this.#elapsedMs() - entry.createdAt < maxAgeMs ? entry : undefined;
  }

  #add(client: string): Entry {
    const old = this.#entries.get(client);
    if (old !== undefined) {
      this.#retire(old);
    }
    if (this.#entries.size >= (this.#options.maxFiles ?? DEFAULT_MAX_FILES)) {
      this.#evict();
    }
    const file = this.#options.create(client, this.#stop.signal);
    return { client, file, createdAt: this.#elapsedMs(), users: 0, expiry: undefined };
  }

  #elapsedMs(): number {
    return this.#options.elapsedMs?.() ?? performance.now();
  }

  #evict(): void {
    const idle = this.#entries.values().find(({ users }) => users === 0);
    if (idle === undefined) {
      throw new ExportLimitError("all kept exports are being read", RETRY_AFTER_MS);
    }
    void this.#remove(idle);
  }

  /** Hides an entry from new readers. The file is deleted after its last reader. */
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
