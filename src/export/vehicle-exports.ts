import type { DatabaseLocation } from "../cache/database-url.ts";
import type { Logger } from "../telemetry/logger.ts";
import { toFault, tracedRequest } from "../telemetry/request-context.ts";
import { StoreUnavailableError } from "../vehicle/errors.ts";
import { waitFor } from "../vehicle/wait-for.ts";
import { ExportFailedError, ExportLimitError } from "./errors.ts";
import { ExportFile } from "./export-file.ts";
import { runWriteJob } from "./run-write-job.ts";
import { openTemporaryFile, removeLeftovers } from "./temporary-file.ts";

export interface VehicleExportsOptions {
  readonly location: DatabaseLocation;
  /** The directory for files while they are written and read. Created when missing. */
  readonly directory: string;
  /** The name and version of the service, which are written into the files. */
  readonly service: string;
  readonly version: string;
  readonly logger: Logger;
  /** Called before the database is read; the result is called with its fault, if any. Default: none. */
  readonly faultReporter?: () => (fault: unknown) => void;
  /** Called for each file that was written. Default: none. */
  readonly onWritten?: (file: ExportFile) => void;
  /** Default: 2 exports per client and 4 in all at once. */
  readonly limits?: ExportLimits;
  /** The number of processes that export. The limits are divided between them. Default: 1. */
  readonly processes?: number;
  /** The free space that an export must leave on the disk for the cache. Default: 128 MiB. */
  readonly keepFreeBytes?: number;
}

/** Maximum number of exports that run at once. */
interface ExportLimits {
  readonly perClient: number;
  readonly perProcess: number;
}

const DEFAULT_LIMITS: ExportLimits = { perClient: 2, perProcess: 4 };
const DEFAULT_KEEP_FREE_BYTES = 128 * 1_048_576;

/** Exports the cache as Parquet files. Disposing ends running exports and deletes every file. */
export class VehicleExports implements AsyncDisposable {
  readonly #options: VehicleExportsOptions;
  readonly #slots: ExportSlots;
  readonly #stop = new AbortController();
  #lastTurn: Promise<void> = Promise.resolve();
  readonly #writing = new Set<Promise<ExportFile>>();
  readonly #files = new Set<ExportFile>();

  private constructor(options: VehicleExportsOptions) {
    this.#options = options;
    const { limits = DEFAULT_LIMITS, processes = 1 } = options;
    this.#slots = new ExportSlots({
      perClient: Math.ceil(limits.perClient / processes),
      perProcess: Math.ceil(limits.perProcess / processes),
    });
  }

  /**
   * Creates the directory and removes files left by a killed process. Never fails: if the directory is unusable,
   * exports fail later.
   */
  static async start(options: VehicleExportsOptions): Promise<VehicleExports> {
    try {
      await removeLeftovers(options.directory);
    } catch (error) {
      options.logger.warn("cannot prepare the directory for exports", { err: error });
    }
    return new VehicleExports(options);
  }

  /**
   * Writes the cache into a file for one reader. It counts as an export of the client until the file is disposed.
   *
   * @param client any name that identifies the client.
   * @throws ExportLimitError, ExportStorageError, StoreUnavailableError, ExportFailedError; the reason of `signal` when
   *   aborted.
   */
  async create(client: string, signal: AbortSignal): Promise<ExportFile> {
    const slot = this.#slots.take(client);
    try {
      return await this.#write(signal, () => slot[Symbol.dispose]());
    } catch (error) {
      slot[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Writes the cache into a file that the caller may keep for many readers. It counts as an export of the client only
   * while it is written. Throws as {@link create} does.
   */
  async createShared(client: string, signal: AbortSignal): Promise<ExportFile> {
    using _slot = this.#slots.take(client);
    return await this.#write(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new ExportFailedError("the service is stopping"));
    await Promise.allSettled(this.#writing);
    await Promise.all(Array.from(this.#files, (file) => file[Symbol.asyncDispose]()));
  }

  async #write(signal: AbortSignal, onDelete?: () => void): Promise<ExportFile> {
    const writing = this.#writeInTurn(AbortSignal.any([signal, this.#stop.signal]), onDelete);
    this.#writing.add(writing);
    const traced = tracedRequest();
    const startedAt = performance.now();
    try {
      const file = await writing;
      traced?.addPart({ name: "export", startedAt });
      const { rowCount, sizeBytes } = file;
      this.#options.logger.info("export written", { rowCount, sizeBytes });
      this.#options.onWritten?.(file);
      return file;
    } catch (error) {
      traced?.addPart({ name: "export", startedAt, fault: toFault(error) });
      throw error;
    } finally {
      this.#writing.delete(writing);
    }
  }

  // One export at a time: this limits the use of memory and processors, and lets the database empty its log in between.
  #writeInTurn(signal: AbortSignal, onDelete?: () => void): Promise<ExportFile> {
    const turn = this.#lastTurn;
    const writing = waitFor(turn, signal).then(() => this.#writeFile(signal, onDelete));
    // Resolves to nothing: with its result, each turn would retain the one before it.
    this.#lastTurn = Promise.allSettled([turn, writing]).then(noop);
    return writing;
  }

  async #writeFile(signal: AbortSignal, onDelete?: () => void): Promise<ExportFile> {
    const { location, directory, service, version, logger, faultReporter } = this.#options;
    const keepFreeBytes = this.#options.keepFreeBytes ?? DEFAULT_KEEP_FREE_BYTES;
    signal.throwIfAborted();
    await using stack = new AsyncDisposableStack();
    const handle = stack.use(await openTemporaryFile(directory));
    const reportFault = faultReporter?.();
    const job = { location, fd: handle.fd, directory, keepFreeBytes, service, version };
    try {
      const written = await runWriteJob(job, signal);
      const file: ExportFile = new ExportFile(handle, written, () => {
        this.#files.delete(file);
        onDelete?.();
      });
      this.#files.add(file);
      // The file owns the handle now.
      stack.move();
      return file;
    } catch (error) {
      if (error instanceof StoreUnavailableError) {
        logger.warn("the cache cannot be read for an export", { err: error.cause });
        reportFault?.(error.cause);
      }
      throw error;
    }
  }
}

/** An export takes seconds. */
const RETRY_AFTER_MS = 5_000;

/** Counts running exports. */
class ExportSlots {
  readonly #limits: ExportLimits;
  readonly #takenBy = new Map<string, number>();
  #taken = 0;

  constructor(limits: ExportLimits) {
    this.#limits = limits;
  }

  /**
   * Takes a slot until the result is disposed.
   *
   * @throws ExportLimitError when none is free.
   */
  take(client: string): Disposable {
    const ofClient = this.#takenBy.get(client) ?? 0;
    if (ofClient >= this.#limits.perClient) {
      throw new ExportLimitError(`${ofClient} exports of this client are already running`, RETRY_AFTER_MS);
    }
    if (this.#taken >= this.#limits.perProcess) {
      throw new ExportLimitError(`${this.#taken} exports are already running`, RETRY_AFTER_MS);
    }
    this.#takenBy.set(client, ofClient + 1);
    this.#taken++;
    let isTaken = true;
    return {
      [Symbol.dispose]: () => {
        if (isTaken) {
          isTaken = false;
          this.#release(client);
        }
      },
    };
  }

  #release(client: string): void {
    this.#taken--;
    const left = (this.#takenBy.get(client) ?? 1) - 1;
    if (left > 0) {
      this.#takenBy.set(client, left);
    } else {
      this.#takenBy.delete(client);
    }
  }
}

function noop(): void {}
