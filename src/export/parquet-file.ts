import { randomUUID } from "node:crypto";
import type { FileHandle } from "node:fs/promises";

import { ExportFailedError } from "./errors.ts";
import type { StallWatch } from "./stall-watch.ts";
import type { WrittenFile } from "./write-job.ts";

const CHUNK_BYTES = 65_536;

/** A finished Parquet file without a name. Any number of readers may read it at once; disposing deletes it. */
export class ParquetFile implements AsyncDisposable {
  readonly #handle: FileHandle;
  readonly #deleted: () => void;
  /** Tells files apart, of other processes too. */
  readonly id = randomUUID();
  readonly fileName: string;
  readonly mediaType = "application/vnd.apache.parquet";
  readonly rowCount: number;
  readonly sizeBytes: number;
  /** The moment whose state of the cache the file shows, in ms since the epoch. */
  readonly snapshotTime: number;

  /**
   * @param handle is owned from now on.
   * @param deleted is called when the file is deleted.
   */
  constructor(handle: FileHandle, written: WrittenFile, deleted: () => void) {
    this.#handle = handle;
    this.#deleted = deleted;
    this.fileName = toFileName(written.snapshotTime);
    this.rowCount = written.rowCount;
    this.sizeBytes = written.sizeBytes;
    this.snapshotTime = written.snapshotTime;
  }

  /**
   * Reads from `start` to before `end`, 64 KiB at a time, each chunk when it is asked for.
   *
   * @throws ExportStalledError when the reader took nothing for too long; the reason of `signal` when aborted.
   */
  async *read(start: number, end: number, watch: StallWatch, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    let position = start;
    while (position < end) {
      watch.pause();
      watch.signal.throwIfAborted();
      signal?.throwIfAborted();
      const chunk = await this.#readAt(position, Math.min(CHUNK_BYTES, end - position));
      position += chunk.length;
      watch.resume();
      yield chunk;
    }
    watch.pause();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#handle.close();
    } finally {
      this.#deleted();
    }
  }

  async #readAt(position: number, lengthBytes: number): Promise<Uint8Array> {
    // A buffer of its own: the chunk before may still be on its way to the client.
    const { bytesRead, buffer } = await this.#handle.read(new Uint8Array(lengthBytes), 0, lengthBytes, position);
    if (bytesRead === 0) {
      throw new ExportFailedError("the file of the export is shorter than it was");
    }
    return buffer.subarray(0, bytesRead);
  }
}

/** Such as `vehicles-20261122T101500Z.parquet`. */
function toFileName(snapshotTime: number): string {
  const time = new Date(snapshotTime).toISOString().replace(/\.\d+/, "").replaceAll(/[-:]/g, "");
  return `vehicles-${time}.parquet`;
}
