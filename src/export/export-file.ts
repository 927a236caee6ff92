import { randomUUID } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { ExportFailedError } from "./errors.ts";
import type { WrittenFile } from "./export-worker.ts";

const CHUNK_BYTES = 65_536;

/**
 * A finished Parquet file that has no name in its directory. Any number of readers may read it at once. Dispose of it
 * to delete it.
 */
export class ExportFile implements AsyncDisposable {
  readonly #handle: FileHandle;
  readonly #onDelete: () => void;
  #deletion: Promise<void> | undefined;
  /** Unique across processes. */
  readonly id = randomUUID();
  readonly fileName: string;
  readonly mediaType = "application/vnd.apache.parquet";
  readonly rowCount: number;
  readonly sizeBytes: number;
  /** The time of the cache snapshot in the file, in ms since the epoch. */
  readonly snapshotTime: number;

  /**
   * @param handle closed when this is disposed.
   * @param onDelete called once, when the file is deleted.
   */
  constructor(handle: FileHandle, { rowCount, sizeBytes, snapshotTime }: WrittenFile, onDelete: () => void) {
    this.#handle = handle;
    this.#onDelete = onDelete;
    this.fileName = toFileName(snapshotTime);
    this.rowCount = rowCount;
    this.sizeBytes = sizeBytes;
    this.snapshotTime = snapshotTime;
  }

  /**
   * Reads 64 KiB at a time, each chunk when it is asked for. The server ends the call of a reader that stalls.
   *
   * @param start position of the first byte. Default: 0.
   * @param end position after the last byte. Default: the file's size.
   * @throws Error when the file is deleted during the read.
   */
  async *read(start = 0, end = this.sizeBytes): AsyncGenerator<Uint8Array> {
    for (let position = start; position < end;) {
      const chunk = await this.#readAt(position, Math.min(CHUNK_BYTES, end - position));
      position += chunk.length;
      yield chunk;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#deletion ??= this.#handle.close().finally(this.#onDelete);
    return this.#deletion;
  }

  async #readAt(position: number, lengthBytes: number): Promise<Uint8Array> {
    // A new buffer each time, because the previous chunk may still be on its way to the client.
    const { bytesRead, buffer } = await this.#handle.read(new Uint8Array(lengthBytes), 0, lengthBytes, position);
    if (bytesRead === 0) {
      throw new ExportFailedError("the export file is shorter than expected");
    }
    return buffer.subarray(0, bytesRead);
  }
}

/** Such as `vehicles-20261122T101500Z.parquet`. */
function toFileName(snapshotTime: number): string {
  const time = new Date(snapshotTime).toISOString().replace(/\.\d+/, "").replaceAll(/[-:]/g, "");
  return `vehicles-${time}.parquet`;
}
