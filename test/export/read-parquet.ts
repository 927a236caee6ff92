import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { DuckDBInstance } from "@duckdb/node-api";

/** Runs queries in DuckDB over a Parquet file, whose path stands as `$file` in them. Values come as JSON has them. */
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
