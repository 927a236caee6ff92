import { ParquetWriter } from "hyparquet-writer";

import type { ExportedRow } from "../cache/exported-rows.ts";
import { FileWriter } from "./file-writer.ts";
import { ENCODING_SCHEMA, FILE_SCHEMA, VehicleColumns } from "./vehicle-columns.ts";

/** Thirty vectors of DuckDB, which reads row groups in parallel. Twice as many take much more memory and gain nothing. */
const MOST_ROWS_PER_GROUP = 61_440;
/** What bounds the memory. */
const MOST_CHARACTERS_PER_GROUP = 8 * 1_048_576;
const PAGE_BYTES = 1_048_576;
/** A bound that is cut is still right, but not exact: 16, the default, would cut VINs. */
const BOUND_BYTES = 32;

/** What the file says of itself. */
export interface FileOrigin {
  readonly service: string;
  readonly version: string;
  /** In ms since the epoch. */
  readonly snapshotTime: number;
}

/** Writes vehicles into an open file as Parquet, one row group at a time. */
export class VehicleWriter {
  readonly #parquet: ParquetWriter;
  readonly #file: FileWriter;
  readonly #origin: FileOrigin;
  readonly #afterGroup: () => void;
  #columns = new VehicleColumns();
  #rowCount = 0;

  /** @param afterGroup is called whenever a row group has been written. */
  constructor(fd: number, origin: FileOrigin, afterGroup: () => void) {
    this.#file = new FileWriter(fd);
    this.#origin = origin;
    this.#afterGroup = afterGroup;
    this.#parquet = new ParquetWriter({
      writer: this.#file,
      schema: ENCODING_SCHEMA,
      codec: "SNAPPY",
      statisticsTruncateLength: BOUND_BYTES,
      createdBy: `${origin.service} version ${origin.version}`,
    });
  }

  async add(rows: readonly ExportedRow[]): Promise<void> {
    for (const row of rows) {
      this.#columns.add(row);
      if (this.#columns.rowCount >= MOST_ROWS_PER_GROUP || this.#columns.characters >= MOST_CHARACTERS_PER_GROUP) {
        await this.#writeGroup();
      }
    }
  }

  /** Writes what is left and the footer. Without any row the file is still a whole one. */
  async finish(): Promise<{ readonly rowCount: number; readonly sizeBytes: number }> {
    await this.#writeGroup();
    const { service, version, snapshotTime } = this.#origin;
    this.#parquet.schema = FILE_SCHEMA;
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
