import type { FileHandle } from "node:fs/promises";
import { open, rename, rm } from "node:fs/promises";
import { extname } from "node:path";
import { UsageError } from "./command.ts";
import { fileChunks } from "./file-chunks.ts";
import { writeParquet } from "./parquet-output.ts";
import type { RowFormat } from "../table/row-format.ts";
import { CSV, JSONL, toJsonValue, toText } from "../table/row-format.ts";
import type { Row } from "../table/table.ts";
import { readCsv, readJsonLines } from "../table/read-table.ts";

/** Rows that an earlier run has written. */
export interface EarlierRows {
  readonly rows: number;
  /** How many of them have an error. */
  readonly failed: number;
}

export interface PartFileOptions {
  /** The final name: `.csv`, `.jsonl`, `.ndjson` or `.parquet`. */
  readonly path: string;
  /** All columns; the last one is that of errors. */
  readonly columns: readonly string[];
  /** How many of the columns are the user's. They come first. */
  readonly usersCount: number;
}

const NEWLINE = 0x0a;
const QUOTE = 0x22;

/**
 * The output, under the name `<path>.part` until it is complete. It survives an interruption, and {@link continueWith}
 * continues it after the last whole row.
 *
 * Nothing can be added to a Parquet file, so its rows are kept as JSON until the end.
 */
export class PartFile implements AsyncDisposable {
  readonly #options: PartFileOptions;
  readonly #partPath: string;
  readonly #isParquet: boolean;
  readonly #format: RowFormat;
  #file: FileHandle | undefined;

  /** @throws UsageError when the ending is unknown. */
  constructor(options: PartFileOptions) {
    const ending = extname(options.path).toLowerCase();
    if (![".csv", ".jsonl", ".ndjson", ".parquet"].includes(ending)) {
      throw new UsageError(`${options.path}: expected a name that ends in .csv, .jsonl or .parquet, or -`);
    }
    this.#options = options;
    this.#partPath = `${options.path}.part`;
    this.#isParquet = ending === ".parquet";
    this.#format = ending === ".csv" ? CSV : JSONL;
  }

  /** @throws UsageError when an earlier run was interrupted. */
  async begin(): Promise<void> {
    try {
      this.#file = await open(this.#partPath, "ax");
    } catch (error) {
      if (hasCode(error, "EEXIST")) {
        throw new UsageError(`${this.#partPath} is from an interrupted run; continue it with --resume, or delete it`);
      }
      throw error;
    }
    await this.#file.appendFile(this.#format.head(this.#options.columns));
  }

  /**
   * Continues the part of an interrupted run, or begins if there is none. Skips the rows that are done.
   *
   * @throws UsageError when the part is not from these rows and columns.
   */
  async continueWith(rows: AsyncIterator<Row>): Promise<EarlierRows> {
    const isEmpty = await this.#dropHalfRow();
    if (isEmpty) {
      await rm(this.#partPath, { force: true });
      await this.begin();
      return { rows: 0, failed: 0 };
    }
    const earlier = await this.#check(rows);
    this.#file = await open(this.#partPath, "a");
    return earlier;
  }

  async write(rows: readonly (readonly unknown[])[]): Promise<void> {
    const lines = rows.map((cells) => this.#format.row(cells, this.#options.columns));
    await this.#file?.appendFile(lines.join(""));
  }

  /** Gives the complete output its final name. */
  async finish(): Promise<void> {
    await this.#file?.sync();
    await this[Symbol.asyncDispose]();
    if (!this.#isParquet) {
      await rename(this.#partPath, this.#options.path);
      return;
    }
    const parquetPath = `${this.#options.path}.tmp`;
    try {
      await writeParquet(this.#partPath, this.#options.columns, parquetPath);
      await rename(parquetPath, this.#options.path);
    } finally {
      await rm(parquetPath, { force: true });
    }
    await rm(this.#partPath);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  /** @returns whether the part is missing or empty now. */
  async #dropHalfRow(): Promise<boolean> {
    try {
      await using file = await open(this.#partPath, "r+");
      const end = await endOfLastRow(this.#partPath, this.#format === CSV);
      await file.truncate(end);
      return end === 0;
    } catch (error) {
      if (hasCode(error, "ENOENT")) {
        return true;
      }
      throw error;
    }
  }

  async #check(rows: AsyncIterator<Row>): Promise<EarlierRows> {
    const { columns, usersCount } = this.#options;
    const earlier = { rows: 0, failed: 0 };
    for await (const cells of this.#readCells()) {
      const next = await rows.next();
      const own = next.done === true ? [] : next.value.cells;
      if (!cells.slice(0, usersCount).every((cell, index) => this.#isSame(cell, own[index]))) {
        throw this.#refuse(`its row ${earlier.rows + 1} is not from this input`);
      }
      earlier.rows++;
      earlier.failed += cells[columns.length - 1] === "" ? 0 : 1;
    }
    return earlier;
  }

  async *#readCells(): AsyncGenerator<readonly unknown[]> {
    const { columns } = this.#options;
    const chunks = fileChunks(this.#partPath);
    if (this.#format === CSV) {
      const records = readCsv(chunks, ",");
      const header = await records.next();
      if (header.done === true || JSON.stringify(header.value) !== JSON.stringify(columns)) {
        throw this.#refuse("it has other columns");
      }
      yield* records;
      return;
    }
    for await (const record of readJsonLines(chunks)) {
      // Not by their order: names that are numbers come first in an object.
      if (Object.keys(record).length !== columns.length || !columns.every((name) => Object.hasOwn(record, name))) {
        throw this.#refuse("it has other columns");
      }
      yield columns.map((name) => record[name]);
    }
  }

  /** @param cell from the part. */
  #isSame(cell: unknown, own: unknown): boolean {
    return this.#format === CSV ? cell === toText(own) : JSON.stringify(cell) === JSON.stringify(toJsonValue(own));
  }

  #refuse(reason: string): UsageError {
    return new UsageError(`--resume: ${this.#partPath} cannot be continued: ${reason}`);
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** Where the last whole row ends. A process that was killed may have written a part of the next one. */
async function endOfLastRow(path: string, hasQuotes: boolean): Promise<number> {
  let isQuoted = false;
  let position = 0;
  let end = 0;
  for await (const chunk of fileChunks(path)) {
    for (const byte of chunk) {
      position++;
      if (hasQuotes && byte === QUOTE) {
        isQuoted = !isQuoted;
      } else if (byte === NEWLINE && !isQuoted) {
        end = position;
      }
    }
  }
  return end;
}
