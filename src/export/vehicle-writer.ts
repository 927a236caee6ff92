import type { ExportedRow } from "../cache/exported-rows.ts";
import { ParquetFile } from "./parquet-file.ts";
import { SCHEMA, VehicleColumns } from "./vehicle-columns.ts";

/**
 * Thirty DuckDB vectors. DuckDB reads row groups in parallel. Twice as many rows take much more memory and gain
 * nothing.
 */
const ROWS_PER_GROUP = 61_440;
/** Limits the memory, together with the number of rows. */
const BYTES_PER_GROUP = 8 * 1_048_576;

/** What the file says about its origin. */
export interface FileOrigin {
  readonly service: string;
  readonly version: string;
  /** In ms since the epoch. */
  readonly snapshotTime: number;
}

/** Writes vehicles into an open file as Parquet, one row group at a time. The file stays open. */
export class VehicleWriter {
  readonly #file: ParquetFile;
  readonly #origin: FileOrigin;
  readonly #afterGroup: () => void;
  #columns = new VehicleColumns();

  /** @param afterGroup called whenever a row group has been written. */
  constructor(fd: number, origin: FileOrigin, afterGroup: () => void) {
    this.#file = new ParquetFile(fd, SCHEMA);
    this.#origin = origin;
    this.#afterGroup = afterGroup;
  }

  /** @param rows a batch; it stays in one row group. */
  add(rows: readonly ExportedRow[]): void {
    this.#columns.add(rows);
    if (this.#columns.rowCount >= ROWS_PER_GROUP || this.#columns.sizeBytes >= BYTES_PER_GROUP) {
      this.#writeGroup();
    }
  }

  /** Writes the remaining rows and the footer. A file without rows is valid. */
  finish(): { readonly rowCount: number; readonly sizeBytes: number } {
    this.#writeGroup();
    const { service, version, snapshotTime } = this.#origin;
    const { rowCount } = this.#file;
    const sizeBytes = this.#file.finish(`${service} version ${version}`, [
      { key: "service", value: service },
      { key: "version", value: version },
      { key: "snapshot_time", value: new Date(snapshotTime).toISOString() },
      { key: "row_count", value: String(rowCount) },
    ]);
    return { rowCount, sizeBytes };
  }

  #writeGroup(): void {
    const columns = this.#columns;
    this.#columns = new VehicleColumns();
    if (columns.rowCount > 0) {
      this.#file.writeGroup(columns.rowCount, columns.toContents());
      this.#afterGroup();
    }
  }
}
