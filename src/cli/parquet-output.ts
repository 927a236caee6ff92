import type { BasicType } from "hyparquet-writer";
import { fileWriter, parquetWriteRows } from "hyparquet-writer";
import { fileChunks } from "./file-chunks.ts";
import { readJsonLines } from "../table/read-table.ts";

const ROWS_PER_GROUP = 20_000;

/** Writes a file of JSON lines as Parquet. A column has a type other than text if all of its values have it. */
export async function writeParquet(jsonPath: string, columns: readonly string[], path: string): Promise<void> {
  const types = await findTypes(jsonPath, columns);
  await parquetWriteRows({
    writer: fileWriter(path),
    columns: columns.map((name) => ({ name, type: types.get(name) ?? "STRING", nullable: true })),
    rows: typedRows(jsonPath, types),
    rowGroupSize: ROWS_PER_GROUP,
  });
}

async function findTypes(jsonPath: string, columns: readonly string[]): Promise<ReadonlyMap<string, BasicType>> {
  const found = new Map(columns.map((name) => [name, new Set<BasicType>()]));
  for await (const row of readJsonLines(fileChunks(jsonPath))) {
    for (const [name, value] of Object.entries(row)) {
      if (value !== null) {
        found.get(name)?.add(typeOf(value));
      }
    }
  }
  return new Map([...found].map(([name, types]) => [name, commonType(types)]));
}

function typeOf(value: unknown): BasicType {
  if (typeof value === "boolean") {
    return "BOOLEAN";
  }
  if (typeof value === "number") {
    return Number.isSafeInteger(value) ? "INT64" : "DOUBLE";
  }
  return "STRING";
}

function commonType(types: ReadonlySet<BasicType>): BasicType {
  if (types.size === 1) {
    return [...types][0] ?? "STRING";
  }
  return types.size === 2 && types.has("INT64") && types.has("DOUBLE") ? "DOUBLE" : "STRING";
}

async function* typedRows(
  jsonPath: string,
  types: ReadonlyMap<string, BasicType>,
): AsyncGenerator<Record<string, unknown>> {
  for await (const row of readJsonLines(fileChunks(jsonPath))) {
    yield Object.fromEntries(Object.entries(row).map(([name, value]) => [name, toTyped(value, types.get(name))]));
  }
}

function toTyped(value: unknown, type: BasicType | undefined): unknown {
  if (value === null) {
    return undefined;
  }
  if (type === "STRING") {
    return typeof value === "string" ? value : JSON.stringify(value);
  }
  return type === "INT64" && typeof value === "number" ? BigInt(value) : value;
}
