import Database from "better-sqlite3";
import { CopyRowError, parseCopyRow, sqliteType, type CopyValue, type KeptColumn } from "./copy-rows.ts";
import { FULL_COLUMNS, PUBLIC_ELEMENTS, SOURCE_COLUMNS } from "./source-tables.ts";
import { SnapshotError, toSnapshotError } from "./snapshot-error.ts";

/** A file written by pg_dump in plain format. */
export interface SqlDump {
  /** For error messages. */
  readonly name: string;
  readonly bytes: number;
  readonly chunks: AsyncIterable<Buffer>;
}

/** The table whose rows are being read. */
interface Block {
  readonly table: string;
  readonly columnCount: number;
  /** Undefined when its rows are not needed. */
  readonly kept?: { readonly columns: readonly KeptColumn[]; readonly rows: RowWriter };
}

/** The tables from which the snapshot is built, by their names in lower case, as in the dump. */
const WANTED = new Map(
  Object.entries({ ...SOURCE_COLUMNS, ...FULL_COLUMNS }).map(([table, columns]) => [
    table.toLowerCase(),
    { table, columns: columns.map((column) => column.toLowerCase()) },
  ]),
);
/** Other tables with these columns may be look-up tables. */
const LOOKUP_COLUMNS = ["id", "name"];
const SCHEMA = "vpic";
const COPY = /^COPY (?<name>.+?) (?:\((?<columns>.*)\) )?FROM stdin;$/;
/** A name, with or without quotes. */
const IDENTIFIER = /"(?:[^"]|"")*"|[^",.\s]+/g;
const ENCODING = /^SET client_encoding = '(.*)';$/;
const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const BACKSLASH = 92;
const DOT = 46;
/** The longest text in NHTSA's tables has 4,000 characters. */
const MAX_LINE_BYTES = 16 << 20;
const PERCENT_PER_REPORT = 10;
const ROWS_PER_INSERT = 50;
const CACHE_KIB = 1_024;

/**
 * Copies the tables for the snapshot from NHTSA's dump into a SQLite database with the schema of the embedded one. The
 * dump is read once, line by line. Other tables, functions and constraints are skipped.
 *
 * @param path the path of the new database; nothing may exist there.
 * @param onProgress called with the percentage read, for every tenth.
 * @throws SnapshotError that names file, line and table.
 */
export async function importSqlDump(dump: SqlDump, path: string, onProgress: (percent: number) => void): Promise<void> {
  const database = new Database(path);
  const importer = new DumpImporter(dump.name, database);
  try {
    // After any failure the file is deleted, so it needs no protection. Rows are only added, so pages need no cache, and
    // a full disk is noticed at the row that does not fit.
    database.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE");
    database.exec(`PRAGMA cache_size = -${CACHE_KIB}; BEGIN`);
    const progress = new Progress(dump.bytes, onProgress);
    for await (const chunk of dump.chunks) {
      importer.take(chunk);
      progress.add(chunk.length);
    }
    importer.finish();
    database.exec("COMMIT");
  } catch (error) {
    throw importer.locate(error);
  } finally {
    database.close();
  }
}

class Progress {
  readonly #totalBytes: number;
  readonly #onProgress: (percent: number) => void;
  #bytes = 0;
  #reported = 0;

  constructor(totalBytes: number, onProgress: (percent: number) => void) {
    this.#totalBytes = totalBytes;
    this.#onProgress = onProgress;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    const percent = Math.floor((this.#bytes * 100) / this.#totalBytes / PERCENT_PER_REPORT) * PERCENT_PER_REPORT;
    if (percent > this.#reported) {
      this.#reported = percent;
      this.#onProgress(percent);
    }
  }
}

/** Reads a dump chunk by chunk. */
class DumpImporter {
  readonly #name: string;
  readonly #database: Database.Database;
  /** Tables that have been read, in lower case. */
  readonly #seen = new Set<string>();
  /** The beginning of a line that is not complete yet. */
  #rest: Buffer[] = [];
  #restBytes = 0;
  #line = 0;
  #block: Block | undefined;

  constructor(name: string, database: Database.Database) {
    this.#name = name;
    this.#database = database;
  }

  take(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#takeLine(this.#withRest(chunk.subarray(start, end)));
      start = end + 1;
    }
    if (start < chunk.length) {
      this.#rest.push(chunk.subarray(start));
      this.#restBytes += chunk.length - start;
    }
    if (this.#restBytes > MAX_LINE_BYTES) {
      this.#line++;
      throw new SnapshotError("database", `the line is longer than ${MAX_LINE_BYTES} bytes`);
    }
  }

  /** Checks that the dump is complete. */
  finish(): void {
    if (this.#restBytes > 0) {
      this.#takeLine(this.#withRest(Buffer.alloc(0)));
    }
    if (this.#block !== undefined) {
      throw new SnapshotError("database", "the file is truncated within the table");
    }
    const missing = [...WANTED.keys(), ...this.#lookupTables()].filter((table) => !this.#seen.has(table)).toSorted();
    if (missing.length > 0) {
      throw new SnapshotError("database", `it has no rows of these tables: ${missing.join(", ")}`);
    }
  }

  /** Adds the position in the dump to an error. */
  locate(error: unknown): SnapshotError {
    const { culprit, message } =
      error instanceof CopyRowError ? new SnapshotError("database", error.message) : toSnapshotError(error);
    const table = this.#block === undefined ? "" : `, table ${this.#block.table}`;
    const place = `${this.#name}, line ${this.#line}${table}`;
    const located = culprit === "database" ? `${place}: ${message}` : `${message} (while reading ${place})`;
    return new SnapshotError(culprit, located, { cause: error });
  }

  #withRest(end: Buffer): Buffer {
    if (this.#restBytes === 0) {
      return end;
    }
    const line = Buffer.concat([...this.#rest, end]);
    this.#rest = [];
    this.#restBytes = 0;
    return line;
  }

  #takeLine(raw: Buffer): void {
    this.#line++;
    // Safe: a carriage return in the data would be escaped.
    const line = raw.at(-1) === CARRIAGE_RETURN ? raw.subarray(0, -1) : raw;
    const block = this.#block;
    if (block === undefined) {
      this.#takeStatement(line.toString("utf8"));
    } else if (line.length === 2 && line[0] === BACKSLASH && line[1] === DOT) {
      block.kept?.rows.finish();
      this.#block = undefined;
    } else if (block.kept !== undefined) {
      block.kept.rows.add(parseCopyRow(line, block.columnCount, block.kept.columns));
    }
  }

  #takeStatement(line: string): void {
    const encoding = ENCODING.exec(line)?.[1] ?? "UTF8";
    if (encoding !== "UTF8") {
      throw new SnapshotError("database", `its encoding is ${encoding}; expected UTF8`);
    }
    const { name, columns } = COPY.exec(line)?.groups ?? {};
    if (name !== undefined) {
      this.#begin(identifiersIn(name), identifiersIn(columns ?? ""));
    }
  }

  #begin([schema, table = ""]: readonly string[], columns: readonly string[]): void {
    const columnCount = columns.length;
    const wanted = WANTED.get(table);
    const isLookup = wanted === undefined && LOOKUP_COLUMNS.every((column) => columns.includes(column));
    this.#block = { table, columnCount };
    if (schema !== SCHEMA || (wanted === undefined && !isLookup)) {
      return;
    }
    const names = wanted?.columns ?? LOOKUP_COLUMNS;
    const missing = names.filter((column) => !columns.includes(column));
    if (missing.length > 0) {
      throw new SnapshotError("database", `the table has no column ${missing.join(", ")}`);
    }
    if (this.#seen.has(table)) {
      throw new SnapshotError("database", "the table occurs twice");
    }
    this.#seen.add(table);
    const kept = names.map((column) => ({ name: column, place: columns.indexOf(column) }));
    this.#block = { table, columnCount, kept: { columns: kept, rows: new RowWriter(this.#database, table, names) } };
  }

  /** The look-up tables of public variables. */
  #lookupTables(): string[] {
    const named = `SELECT DISTINCT lower(LookupTable) FROM ${PUBLIC_ELEMENTS} AND coalesce(LookupTable, '') <> ''`;
    return this.#seen.has("element") ? this.#database.prepare<[], string>(named).pluck().all() : [];
  }
}

/** Creates a table and writes its rows, many at a time: that takes half as long as one by one. */
class RowWriter {
  readonly #insertOne: Database.Statement;
  readonly #insertMany: Database.Statement;
  readonly #columnCount: number;
  #values: CopyValue[] = [];

  constructor(database: Database.Database, table: string, columns: readonly string[]) {
    const quoted = `"${table.replaceAll('"', '""')}"`;
    database.exec(`CREATE TABLE ${quoted} (${columns.map((name) => `${name} ${sqliteType(name)}`).join(", ")})`);
    const row = `(${columns.map(() => "?").join(", ")})`;
    this.#insertOne = database.prepare(`INSERT INTO ${quoted} VALUES ${row}`);
    this.#insertMany = database.prepare(`INSERT INTO ${quoted} VALUES ${Array(ROWS_PER_INSERT).fill(row).join(", ")}`);
    this.#columnCount = columns.length;
  }

  add(values: readonly CopyValue[]): void {
    this.#values.push(...values);
    if (this.#values.length === ROWS_PER_INSERT * this.#columnCount) {
      this.#insertMany.run(this.#values);
      this.#values = [];
    }
  }

  finish(): void {
    for (let start = 0; start < this.#values.length; start += this.#columnCount) {
      this.#insertOne.run(this.#values.slice(start, start + this.#columnCount));
    }
    this.#values = [];
  }
}

function identifiersIn(list: string): string[] {
  return (list.match(IDENTIFIER) ?? []).map((name) => {
    const isQuoted = name.startsWith('"');
    return (isQuoted ? name.slice(1, -1).replaceAll('""', '"') : name).toLowerCase();
  });
}
