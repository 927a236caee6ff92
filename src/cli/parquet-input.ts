import { open, stat } from "node:fs/promises";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import type { AsyncBuffer } from "hyparquet";
import { parquetMetadataAsync, parquetReadObjects, parquetSchema } from "hyparquet";
import type { Row, Table } from "../table/table.ts";

/** Rows read at a time. A reader of Parquet decodes the pages of a row group from its start. */
const ROWS_AT_A_TIME = 20_000;
const SAMPLE_ROWS = 1_000;
/** Those of hyparquet; Snappy is built into it. */
export const COMPRESSORS = {
  GZIP: (bytes: Uint8Array): Uint8Array => gunzipSync(bytes),
  BROTLI: (bytes: Uint8Array): Uint8Array => brotliDecompressSync(bytes),
  ZSTD: (bytes: Uint8Array): Uint8Array => zstdDecompressSync(bytes),
};

/** Opens a Parquet file. A nested value is one cell. */
export async function openParquetTable(path: string): Promise<Table> {
  const file = await openParquetFile(path);
  const metadata = await parquetMetadataAsync(file);
  const rowCount = Number(metadata.num_rows);
  const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
  let done = 0;

  async function* read(start: number, end: number): AsyncGenerator<Row> {
    for (let rowStart = start; rowStart < end; rowStart += ROWS_AT_A_TIME) {
      const rowEnd = Math.min(rowStart + ROWS_AT_A_TIME, end);
      const objects = await parquetReadObjects({ file, metadata, compressors: COMPRESSORS, rowStart, rowEnd });
      for (const object of objects) {
        done++;
        yield { cells: columns.map((name): unknown => object[name]) };
      }
    }
  }

  const sample = await Array.fromAsync(read(0, Math.min(SAMPLE_ROWS, rowCount)));
  done = 0;
  return { columns, sample, rows: read(0, rowCount), progress: () => (rowCount === 0 ? 1 : done / rowCount) };
}

/** Opens a file for hyparquet. */
export async function openParquetFile(path: string): Promise<AsyncBuffer> {
  const { size } = await stat(path);
  return {
    byteLength: size,
    async slice(start, end = size) {
      await using file = await open(path);
      const bytes = new Uint8Array(end - start);
      await file.read(bytes, 0, bytes.length, start);
      return bytes.buffer;
    },
  };
}
