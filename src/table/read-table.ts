import { createInterface } from "node:readline";
import { pipeline, Readable } from "node:stream";
import { parse } from "csv-parse";
import type { Row, Table } from "./table.ts";
import { TableError } from "./table.ts";
import { isVin, isVinName } from "./vin-column.ts";

/** The formats that are text. */
export type TextFormat = "csv" | "tsv" | "text" | "jsonl";

const SAMPLE_ROWS = 1_000;

/**
 * Reads a table of any size; only a part of it is in memory at any time.
 *
 * @throws TableError when it is not a table.
 */
export async function readTable(bytes: Bytes, format: TextFormat): Promise<Table> {
  const records =
    format === "jsonl" ? readJsonLines(bytes.chunks) : readCsv(bytes.chunks, delimiterOf(format, bytes.head));
  const sample: (readonly string[] | Record<string, unknown>)[] = [];
  while (sample.length < SAMPLE_ROWS) {
    const next = await records.next();
    if (next.done === true) {
      break;
    }
    sample.push(next.value);
  }
  const { columns, toRow, isHeader } = shapeOf(format, sample);
  if (isHeader) {
    sample.shift();
  }
  return {
    columns,
    sample: sample.map(toRow),
    rows: mapped(sample, records, toRow),
    progress: () => bytes.progress(),
  };
}

/** The content of a table. */
export interface Bytes {
  /** The first bytes. */
  readonly head: Buffer;
  readonly chunks: AsyncIterable<Buffer>;
  /** See {@link Table}. */
  progress(): number | undefined;
}

/** The content of a stream, whose size is unknown. */
export async function withHead(stream: AsyncIterable<Buffer>): Promise<Bytes> {
  const chunks = stream[Symbol.asyncIterator]();
  const first = await chunks.next();
  const head = first.done === true ? Buffer.alloc(0) : first.value;
  return { head, chunks: joined(head, { [Symbol.asyncIterator]: () => chunks }), progress: () => undefined };
}

async function* joined(head: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield head;
  yield* rest;
}

async function* mapped<T>(first: readonly T[], rest: AsyncIterable<T>, map: (item: T) => Row): AsyncGenerator<Row> {
  yield* first.map(map);
  for await (const item of rest) {
    yield map(item);
  }
}

/** Guesses the format of a table from its first bytes. */
export function guessFormat(head: Buffer): TextFormat | "parquet" {
  const text = head.toString("utf8").trimStart();
  if (text.startsWith("PAR1")) {
    return "parquet";
  }
  if (text.startsWith("{")) {
    return "jsonl";
  }
  const [line = ""] = text.split("\n");
  return line.includes("\t") ? "tsv" : /[,;]/.test(line) ? "csv" : "text";
}

/** In many countries, spreadsheets write semicolons, because numbers have a decimal comma. */
function delimiterOf(format: TextFormat, head: Buffer): string {
  if (format !== "csv") {
    return "\t";
  }
  const [line = ""] = head.toString("utf8").split("\n");
  const countOf = (delimiter: string): number => line.split(delimiter).length;
  return [",", ";", "\t"].reduce((best, each) => (countOf(each) > countOf(best) ? each : best));
}

/** Reads the cells of CSV. */
export async function* readCsv(chunks: AsyncIterable<Buffer>, delimiter: string): AsyncGenerator<readonly string[]> {
  const parser = parse({
    bom: true,
    delimiter,
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
  });
  // The loop below receives the parser's error.
  pipeline(Readable.from(chunks), parser, () => {});
  yield* parser;
}

/** Reads one JSON object per line. @throws TableError that names the line. */
export async function* readJsonLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Record<string, unknown>> {
  let number = 0;
  for await (const line of createInterface({ input: Readable.from(chunks), crlfDelay: Infinity })) {
    number++;
    if (line.trim() !== "") {
      yield parseObject(line, number);
    }
  }
}

function parseObject(line: string, number: number): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line.replace(/^\uFEFF/, ""));
  } catch {
    throw new TableError(`line ${number} is not JSON`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TableError(`line ${number} is not a JSON object`);
  }
  return { ...value };
}

interface Shape {
  readonly columns: readonly string[];
  readonly toRow: (record: readonly string[] | Record<string, unknown>) => Row;
  /** Whether the first record is the header. */
  readonly isHeader: boolean;
}

function shapeOf(format: TextFormat, sample: readonly (readonly string[] | Record<string, unknown>)[]): Shape {
  const [first] = sample;
  if (first === undefined) {
    throw new TableError("there are no rows");
  }
  if (!isArray(first)) {
    const columns = [...new Set(sample.flatMap((record) => Object.keys(record)))];
    return { columns, toRow: (record) => toObjectRow(record, columns), isHeader: false };
  }
  const isHeader = format === "text" ? isVinName(first[0] ?? "") : !first.some(isVin);
  const names = first.map((name, index) => (isHeader ? name.trim() : "") || defaultName(format, index));
  const columns = withoutRepetition(names);
  return { columns, toRow: (record) => toArrayRow(record, columns), isHeader };
}

function defaultName(format: TextFormat, index: number): string {
  return format === "text" && index === 0 ? "vin" : `column_${index + 1}`;
}

function toArrayRow(record: readonly string[] | Record<string, unknown>, columns: readonly string[]): Row {
  const cells = isArray(record) ? record : [];
  const fault =
    cells.length > columns.length
      ? `this row has ${cells.length} cells, but there are only ${columns.length} columns`
      : undefined;
  return { cells: columns.map((_, index) => cells[index] ?? ""), fault };
}

function toObjectRow(record: readonly string[] | Record<string, unknown>, columns: readonly string[]): Row {
  const values: Record<string, unknown> = isArray(record) ? {} : record;
  const unknown = Object.keys(values).filter((name) => !columns.includes(name));
  const fault = unknown.length > 0 ? `${unknown.join(", ")}: not in the first ${SAMPLE_ROWS} rows` : undefined;
  return { cells: columns.map((name) => values[name]), fault };
}

function isArray(record: readonly string[] | Record<string, unknown>): record is readonly string[] {
  return Array.isArray(record);
}

function withoutRepetition(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    let free = name;
    for (let count = 2; taken.has(free); count++) {
      free = `${name}_${count}`;
    }
    taken.add(free);
    return free;
  });
}
