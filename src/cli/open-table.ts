import { open } from "node:fs/promises";
import { extname } from "node:path";
import type { Readable } from "node:stream";
import type { Bytes, TextFormat } from "../table/read-table.ts";
import { guessFormat, readTable, withHead } from "../table/read-table.ts";
import type { Table } from "../table/table.ts";
import { columnOfVins, toVinText } from "../table/vin-column.ts";
import { UsageError } from "./command.ts";
import { fileChunks } from "./file-chunks.ts";
import { openParquetTable } from "./parquet-input.ts";

const FORMATS: Readonly<Record<string, TextFormat | "parquet">> = {
  ".csv": "csv",
  ".tsv": "tsv",
  ".txt": "text",
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
  ".parquet": "parquet",
};
const HEAD_BYTES = 65_536;

/**
 * Opens a table of any size; only a part of it is in memory at any time.
 *
 * @param path a file, or `-` for standard input. The format is that of the ending; without a known one, that of the
 *   content.
 * @throws TableError when it is not a table; errors of the file system.
 */
export async function openTable(path: string, stdin: Readable): Promise<Table> {
  const bytes = path === "-" ? await withHead(stdin) : await openFile(path);
  const format = FORMATS[extname(path).toLowerCase()] ?? guessFormat(bytes.head);
  if (format !== "parquet") {
    return readTable(bytes, format);
  }
  if (path === "-") {
    throw new UsageError("Parquet cannot be read from standard input; name the file");
  }
  return openParquetTable(path);
}

/**
 * Reads the VINs of a table, as they are written there.
 *
 * @param path as for {@link openTable}.
 * @param column the name of the column with the VINs. Without it, the column is found by its name or its content.
 * @throws TableError when it is not a table or the column is not clear; errors of the file system.
 */
export async function* readVins(path: string, column: string | undefined): AsyncGenerator<string> {
  const table = await openTable(path, process.stdin);
  const index = columnOfVins(table, column);
  for await (const { cells } of table.rows) {
    yield toVinText(cells[index]);
  }
}

async function openFile(path: string): Promise<Bytes> {
  await using file = await open(path);
  const { size } = await file.stat();
  const head = Buffer.alloc(HEAD_BYTES);
  const { bytesRead } = await file.read(head, 0, HEAD_BYTES, 0);
  let position = 0;
  return {
    head: head.subarray(0, bytesRead),
    chunks: fileChunks(path, (bytes) => {
      position = bytes;
    }),
    progress: () => (size === 0 ? 1 : Math.min(position / size, 1)),
  };
}
