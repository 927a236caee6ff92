import type { ParquetFile } from "./parquet-file.ts";
import { StallWatch } from "./stall-watch.ts";

/**
 * An export for one reader, who reads it once and disposes it. A reader that takes nothing for too long loses it: the
 * file is deleted and {@link stalled} is aborted, whether or not the reader ever asks again.
 */
export class ExportFile implements AsyncDisposable {
  readonly #file: ParquetFile;
  readonly #watch: StallWatch;
  readonly #slot: Disposable;
  #disposal: Promise<void> | undefined;

  /**
   * @param file is owned from now on.
   * @param slot is given back when the file is deleted.
   */
  constructor(file: ParquetFile, slot: Disposable, stallMs: number) {
    this.#file = file;
    this.#slot = slot;
    this.#watch = new StallWatch(stallMs);
    this.#watch.signal.addEventListener("abort", () => {
      void this[Symbol.asyncDispose]();
    });
  }

  /** Tells files apart, of other processes too. */
  get id(): string {
    return this.#file.id;
  }

  get fileName(): string {
    return this.#file.fileName;
  }

  get mediaType(): string {
    return this.#file.mediaType;
  }

  get rowCount(): number {
    return this.#file.rowCount;
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes;
  }

  /** The moment whose state of the cache the file shows, in ms since the epoch. */
  get snapshotTime(): number {
    return this.#file.snapshotTime;
  }

  /** Aborted with ExportStalledError when the reader has stalled: what it reads through is to be closed. */
  get stalled(): AbortSignal {
    return this.#watch.signal;
  }

  /**
   * The file's bytes, 64 KiB at a time, each chunk when it is asked for.
   *
   * @throws ExportStalledError when the reader took nothing for too long; the reason of `signal` when aborted.
   */
  chunks(signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    return this.read(0, this.sizeBytes, signal);
  }

  /** As {@link chunks}, from `start` to before `end`. */
  read(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    return this.#file.read(start, end, this.#watch, signal);
  }

  /** Deletes the file. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#dispose();
    return this.#disposal;
  }

  async #dispose(): Promise<void> {
    this.#watch[Symbol.dispose]();
    try {
      await this.#file[Symbol.asyncDispose]();
    } finally {
      this.#slot[Symbol.dispose]();
    }
  }
}
