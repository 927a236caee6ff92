import { once } from "node:events";

import type { DatabaseLocation } from "../cache/database-url.ts";
import type { Logger } from "../telemetry/logger.ts";
import { ExportFailedError } from "./errors.ts";
import { ExportFile } from "./export-file.ts";
import { ExportSlots } from "./export-slots.ts";
import type { ExportLimits } from "./export-slots.ts";
import { ParquetFile } from "./parquet-file.ts";
import { runWriteJob } from "./run-write-job.ts";
import { openTemporaryFile, removeLeftovers } from "./temporary-file.ts";

export interface VehicleExportsOptions {
  readonly location: DatabaseLocation;
  /** Where the files are while they are written and read. Made when missing. */
  readonly directory: string;
  /** What the files name as their origin. */
  readonly service: string;
  readonly version: string;
  readonly logger: Logger;
  /** Default: 2 exports of a client and 4 in all at once. */
  readonly limits?: ExportLimits;
  /** How long a reader may take nothing. Default: 30 s. */
  readonly stallMs?: number;
  /** How much room an export must leave on the disk, so that the cache can go on. Default: 128 MiB. */
  readonly keepFreeBytes?: number;
}

const DEFAULT_LIMITS: ExportLimits = { perClient: 2, perProcess: 4 };
const DEFAULT_STALL_MS = 30_000;
const DEFAULT_KEEP_FREE_BYTES = 128 * 1_048_576;

/** Exports the cache as Parquet files. Disposing ends what runs and deletes every file. */
export class VehicleExports implements AsyncDisposable {
  readonly #options: VehicleExportsOptions;
  readonly #slots: ExportSlots;
  readonly #stop = new AbortController();
  #lastTurn: Promise<void> = Promise.resolve();
  readonly #writing = new Set<Promise<ParquetFile>>();
  readonly #files = new Set<ParquetFile>();

  private constructor(options: VehicleExportsOptions) {
    this.#options = options;
    this.#slots = new ExportSlots(options.limits ?? DEFAULT_LIMITS);
  }

  /** Makes the directory and removes what a killed process left there. */
  static async start(options: VehicleExportsOptions): Promise<VehicleExports> {
    await removeLeftovers(options.directory);
    return new VehicleExports(options);
  }

  /**
   * Writes the cache into a file, for one reader. It counts as an export of the client until the file is disposed.
   *
   * @param client whose export it is, in any spelling that tells clients apart.
   * @throws ExportLimitError, ExportStorageError, ExportFailedError; the reason of `signal` when aborted.
   */
  async create(client: string, signal: AbortSignal): Promise<ExportFile> {
    using stack = new DisposableStack();
    const slot = stack.use(this.#slots.take(client));
    const file = new ExportFile(await this.#write(signal), slot, this.#options.stallMs ?? DEFAULT_STALL_MS);
    // From now on the slot is the file's.
    stack.move();
    return file;
  }

  /**
   * Writes the cache into a file that the caller may keep for many readers. It counts as an export of the client only
   * while it is written. See {@link create} for what it throws.
   */
  async createShared(client: string, signal: AbortSignal): Promise<ParquetFile> {
    using _slot = this.#slots.take(client);
    return await this.#write(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new ExportFailedError("the service stops"));
    await Promise.allSettled(this.#writing);
    await Promise.all(Array.from(this.#files, (file) => file[Symbol.asyncDispose]()));
  }

  async #write(signal: AbortSignal): Promise<ParquetFile> {
    const writing = this.#writeInTurn(AbortSignal.any([signal, this.#stop.signal]));
    this.#writing.add(writing);
    try {
      const file = await writing;
      const { rowCount, sizeBytes } = file;
      this.#options.logger.info("export written", { rowCount, sizeBytes });
      return file;
    } finally {
      this.#writing.delete(writing);
    }
  }

  // One at a time: memory and processor are used once, and between two of them the database's log can be emptied.
  #writeInTurn(signal: AbortSignal): Promise<ParquetFile> {
    const turn = this.#lastTurn;
    const writing = waitFor(turn, signal).then(() => this.#writeFile(signal));
    // Without a result: each would hold the one before it.
    this.#lastTurn = Promise.allSettled([turn, writing]).then(noop);
    return writing;
  }

  async #writeFile(signal: AbortSignal): Promise<ParquetFile> {
    const { location, directory, service, version } = this.#options;
    const keepFreeBytes = this.#options.keepFreeBytes ?? DEFAULT_KEEP_FREE_BYTES;
    signal.throwIfAborted();
    await using stack = new AsyncDisposableStack();
    const handle = stack.use(await openTemporaryFile(directory));
    const job = { location, fd: handle.fd, directory, keepFreeBytes, service, version };
    const written = await runWriteJob(job, signal);
    const file = new ParquetFile(handle, written, () => {
      this.#files.delete(file);
    });
    this.#files.add(file);
    // From now on the handle is the file's.
    stack.move();
    return file;
  }
}

/** @throws the reason of `signal` when it is aborted first. */
async function waitFor(turn: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const listening = new AbortController();
  await Promise.race([turn, once(signal, "abort", { signal: listening.signal })]);
  listening.abort();
  signal.throwIfAborted();
}

function noop(): void {}
