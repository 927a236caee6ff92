import type { LookupResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { View } from "../vehicle/vehicle.ts";
import { toText } from "./row-format.ts";
import type { Row } from "./table.ts";
import { toVinText } from "./vin-column.ts";
import type { AddedColumns } from "./vehicle-columns.ts";

/** A VIN as the user wrote it, with the model year if the user knows it. */
export interface Query {
  readonly vin: string;
  readonly modelYear?: number | undefined;
}

/** A vehicle, or why there is none, for the user. */
export type Answer = { readonly vehicle: LookupResponse } | { readonly fault: string };

/** Decodes VINs. */
export interface Decoder {
  /**
   * Answers at most 5,000 queries, in their order.
   *
   * @throws the reason of `signal` when aborted; errors that concern all queries.
   */
  decode(queries: readonly Query[], view: View, signal: AbortSignal): Promise<Answer[]>;
}

/** The rows that are done. */
export interface Counts {
  readonly rows: number;
  /** Rows with an error. */
  readonly failed: number;
}

export interface DecodeTableOptions {
  readonly rows: AsyncIterator<Row>;
  /** The index of the column with the VINs. */
  readonly vinColumn: number;
  /** The index of the column with the model years, if there is one. */
  readonly yearColumn: number | undefined;
  readonly added: AddedColumns;
  readonly decoder: Decoder;
  readonly signal: AbortSignal;
  /** Takes rows in the order of the input: the user's cells, then those of the added columns. */
  readonly write: (rows: readonly (readonly unknown[])[]) => Promise<void>;
  readonly onProgress: (counts: Counts) => void;
  /** The rows of an earlier run. */
  readonly earlier: Counts;
}

/** Rows decoded together. */
const CHUNK_ROWS = 1_000;
/** Chunks decoded at the same time, so that a slow VIN does not hold up all others. */
const CHUNKS_AT_A_TIME = 2;

interface DecodedRow {
  readonly cells: readonly unknown[];
  readonly hasFailed: boolean;
}

/**
 * Decodes rows and writes one for each, in the same order. Keeps a few thousand rows in memory.
 *
 * @throws the reason of the signal when aborted. The rows written until then are complete and have no gaps.
 */
export async function decodeTable(options: DecodeTableOptions): Promise<Counts> {
  const { rows, signal, write, onProgress } = options;
  let { rows: done, failed } = options.earlier;
  const running: Promise<DecodedRow[]>[] = [];

  async function writeNext(): Promise<void> {
    const decoded = (await running.shift()) ?? [];
    await write(decoded.map(({ cells }) => cells));
    done += decoded.length;
    failed += decoded.filter(({ hasFailed }) => hasFailed).length;
    onProgress({ rows: done, failed });
  }

  for (let chunk = await nextChunk(rows); chunk.length > 0; chunk = await nextChunk(rows)) {
    signal.throwIfAborted();
    const decoding = decodeChunk(chunk, options);
    // It is awaited later. Without this, an earlier failure would count as an unhandled rejection.
    decoding.catch(() => {});
    running.push(decoding);
    if (running.length === CHUNKS_AT_A_TIME) {
      await writeNext();
    }
  }
  while (running.length > 0) {
    await writeNext();
  }
  return { rows: done, failed };
}

async function nextChunk(rows: AsyncIterator<Row>): Promise<Row[]> {
  const chunk: Row[] = [];
  while (chunk.length < CHUNK_ROWS) {
    const next = await rows.next();
    if (next.done === true) {
      break;
    }
    chunk.push(next.value);
  }
  return chunk;
}

async function decodeChunk(
  chunk: readonly Row[],
  { vinColumn, yearColumn, added, decoder, signal }: DecodeTableOptions,
): Promise<DecodedRow[]> {
  const faults = chunk.map(({ cells, fault }) => fault ?? findYearFault(yearColumn, cells));
  const askedRows = [...chunk.keys()].filter((index) => faults[index] === undefined);
  const queries = askedRows.map((index) => {
    const { cells } = chunk[index] ?? { cells: [] };
    return { vin: toVinText(cells[vinColumn]), modelYear: toYear(yearColumn, cells) };
  });
  const answers = await decoder.decode(queries, added.needsAttributes ? "full" : "basic", signal);
  const answersByRow = new Map(askedRows.map((row, index) => [row, answers[index]]));
  return chunk.map(({ cells }, row) => {
    const answer = answersByRow.get(row) ?? { fault: faults[row] ?? "there is no answer for this VIN" };
    return "vehicle" in answer
      ? { cells: [...cells, ...added.columns.map(({ valueOf }) => valueOf(answer.vehicle)), ""], hasFailed: false }
      : { cells: [...cells, ...added.columns.map(() => ""), answer.fault], hasFailed: true };
  });
}

/** Spreadsheets and pandas may write a year as 2014.0. */
const YEAR = /^\s*(\d{4})(\.0*)?\s*$/;

function yearText(yearColumn: number | undefined, cells: readonly unknown[]): string {
  return yearColumn === undefined ? "" : toText(cells[yearColumn]).trim();
}

function toYear(yearColumn: number | undefined, cells: readonly unknown[]): number | undefined {
  const [, year] = YEAR.exec(yearText(yearColumn, cells)) ?? [];
  return year === undefined ? undefined : Number(year);
}

function findYearFault(yearColumn: number | undefined, cells: readonly unknown[]): string | undefined {
  const text = yearText(yearColumn, cells);
  return text === "" || YEAR.test(text) ? undefined : `model_year: ${JSON.stringify(text)} is not a year`;
}
