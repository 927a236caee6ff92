import { writeSync } from "node:fs";
import { zstdCompressSync } from "node:zlib";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import type { ExportedRow } from "../cache/exported-rows.ts";
import { SCHEMA, VehicleColumns } from "./vehicle-columns.ts";

/**
 * Thirty DuckDB vectors. DuckDB reads row groups in parallel. Twice as many rows take much more memory and gain
 * nothing.
 */
const ROWS_PER_GROUP = 61_440;
/** Limits the memory, together with the number of rows. */
const CHARACTERS_PER_GROUP = 8 * 1_048_576;
const PAGE_BYTES = 1_048_576;
/** A truncated bound is correct but not exact. The default of 16 would truncate VINs. */
const BOUND_BYTES = 32;
const FLUSH_BYTES = 1_048_576;

/** What the file says about its origin. */
export interface FileOrigin {
  readonly service: string;
  readonly version: string;
  /** In ms since the epoch. */
  readonly snapshotTime: number;
}

/** Writes vehicles into an open file as Parquet, one row group at a time. The file stays open. */
export class VehicleWriter {
  readonly #parquet: ParquetWriter;
  readonly #file: FileWriter;
  readonly #origin: FileOrigin;
  readonly #afterGroup: () => void;
  #columns = new VehicleColumns();
  #rowCount = 0;

  /** @param afterGroup called whenever a row group has been written. */
  constructor(fd: number, origin: FileOrigin, afterGroup: () => void) {
    this.#file = new FileWriter(fd);
    this.#origin = origin;
    this.#afterGroup = afterGroup;
    this.#parquet = new ParquetWriter({
      writer: this.#file,
      schema: SCHEMA,
      codec: "ZSTD",
      compressors: { ZSTD: (bytes) => zstdCompressSync(bytes) },
      statisticsTruncateLength: BOUND_BYTES,
      createdBy: `${origin.service} version ${origin.version}`,
    });
  }

  /** @param rows a batch; it stays in one row group. */
  async add(rows: readonly ExportedRow[]): Promise<void> {
    for (const row of rows) {
      this.#columns.add(row);
    }
    if (this.#columns.rowCount >= ROWS_PER_GROUP || this.#columns.characters >= CHARACTERS_PER_GROUP) {
      await this.#writeGroup();
    }
  }

  /** Writes the remaining rows and the footer. A file without rows is valid. */
  async finish(): Promise<{ readonly rowCount: number; readonly sizeBytes: number }> {
    await this.#writeGroup();
    const { service, version, snapshotTime } = this.#origin;
    this.#parquet.kvMetadata = [
      { key: "service", value: service },
      { key: "version", value: version },
      { key: "snapshot_time", value: new Date(snapshotTime).toISOString() },
      { key: "row_count", value: String(this.#rowCount) },
    ];
    await this.#parquet.finish();
    return { rowCount: this.#rowCount, sizeBytes: this.#file.offset };
  }

  async #writeGroup(): Promise<void> {
    const columns = this.#columns;
    this.#columns = new VehicleColumns();
    if (columns.rowCount > 0) {
      await this.#parquet.write({
        columnData: columns.toColumnData(),
        rowGroupSize: columns.rowCount,
        pageSize: PAGE_BYTES,
      });
      this.#rowCount += columns.rowCount;
      this.#afterGroup();
    }
  }
}

/** Buffers what is written, and writes it to an open file a mebibyte or more at a time. */
class FileWriter extends ByteWriter {
  readonly #fd: number;

  constructor(fd: number) {
    super(2 * FLUSH_BYTES);
    this.#fd = fd;
  }

  /** @throws the file system's error, such as ENOSPC. */
  override ensure(sizeBytes: number): void {
    if (this.index >= FLUSH_BYTES) {
      this.#flush();
    }
    super.ensure(sizeBytes);
  }

  override finish(): void {
    this.#flush();
  }

  #flush(): void {
    let written = 0;
    const bytes = this.getBytes();
    while (written < bytes.length) {
      // A disk that fills up accepts part of a write and refuses the next one.
      written += writeSync(this.#fd, bytes, written);
    }
    this.index = 0;
  }
}
