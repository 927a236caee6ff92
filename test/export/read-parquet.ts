import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import type { AsyncBuffer } from "hyparquet";
import { parquetReadObjects } from "hyparquet";

/**
 * Runs a query in DuckDB over a Parquet file. In the query, `$file` stands for its path. Values are returned as JSON
 * values.
 */
export async function queryParquet(bytes: Uint8Array, query: string) {
  const directory = await mkdtemp(join(tmpdir(), "parquet-"));
  try {
    const path = join(directory, "file.parquet");
    await writeFile(path, bytes);
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    try {
      const reader = await connection.runAndReadAll(query.replaceAll("$file", `'${path}'`));
      return reader.getRowObjectsJson();
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Reads rows by hyparquet. */
export function readWithHyparquet(file: AsyncBuffer | Uint8Array, columns?: string[]) {
  return parquetReadObjects({
    file: file instanceof Uint8Array ? new Uint8Array(file).buffer : file,
    compressors: { ZSTD: (bytes) => zstdDecompressSync(bytes) },
    ...(columns !== undefined && { columns }),
  });
}
