import type { SchemaElement } from "hyparquet";
import type { ColumnSource } from "hyparquet-writer";
import type { ExportedColumn, ExportedRow } from "../cache/exported-rows.ts";
import { EXPORTED_COLUMNS } from "../cache/exported-rows.ts";

interface FileColumn {
  readonly schema: SchemaElement;
  readonly create: () => Column;
}

/** Gathers the values of a column. */
interface Column {
  add(row: ExportedRow): void;
  /** The number of characters that the column keeps in memory. */
  readonly distinctCharacters: number;
  toSource(): ColumnSource;
}

type TextOptions = Pick<ColumnSource, "encoding" | "statistics">;

/**
 * The columns of the file, in order. Users rely on the order: add new ones at the end. Only `year` can be null.
 *
 * Rows come in VIN order, so the bounds of `vin` in each row group let a reader skip nearly all groups. A bloom filter
 * would add nothing. Long texts have no bounds, because readers do not search by them.
 */
const FILE_COLUMNS: readonly FileColumn[] = [
  text("vin", "vin", { encoding: "PLAIN" }),
  text("make", "make"),
  text("model", "model"),
  text("model_year", "model_year"),
  text("body_class", "body_class"),
  text("source", "source"),
  {
    schema: {
      name: "decode_time",
      type: "INT64",
      converted_type: "TIMESTAMP_MILLIS",
      // Without it, readers treat the time as local.
      logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MILLIS" },
      repetition_type: "REQUIRED",
    },
    create: () => new TimeColumn(),
  },
  text("verdict", "verdict_codes", { statistics: false }),
  // The attributes are JSON, but are not marked as such: Polars would read the column as bytes.
  text("attributes", "attributes", { statistics: false }),
  { schema: { name: "year", type: "INT32", repetition_type: "OPTIONAL" }, create: () => new YearColumn() },
  text("verdict_text", "verdict_text", { statistics: false }),
  text("suggested_vin", "suggested_vin", { statistics: false }),
];

/** The schema of the file. */
export const SCHEMA: SchemaElement[] = [
  { name: "vehicles", num_children: FILE_COLUMNS.length },
  ...FILE_COLUMNS.map(({ schema }) => schema),
];

/** A column of texts, as the cache stores them. */
function text(name: string, stored: Exclude<ExportedColumn, "decoded_at">, options: TextOptions = {}): FileColumn {
  const logical_type = { type: "STRING" } as const;
  return {
    schema: { name, type: "BYTE_ARRAY", converted_type: "UTF8", logical_type, repetition_type: "REQUIRED" },
    create: () => new TextColumn(name, EXPORTED_COLUMNS.indexOf(stored), options),
  };
}

/** Gathers rows as columns. */
export class VehicleColumns {
  readonly #columns = FILE_COLUMNS.map(({ create }) => create());
  #rowCount = 0;

  get rowCount(): number {
    return this.#rowCount;
  }

  /** The number of characters that the rows keep in memory. */
  get characters(): number {
    return this.#columns.reduce((sum, { distinctCharacters }) => sum + distinctCharacters, 0);
  }

  add(row: ExportedRow): void {
    this.#rowCount++;
    for (const column of this.#columns) {
      column.add(row);
    }
  }

  toColumnData(): ColumnSource[] {
    return this.#columns.map((column) => column.toSource());
  }
}

/**
 * A column of texts that often repeat the previous one. Equal neighbours share one string, which is stored once and
 * hashed once.
 */
class TextColumn implements Column {
  readonly #name: string;
  readonly #index: number;
  readonly #options: TextOptions;
  readonly #values: string[] = [];
  #last = "";
  #characters = 0;
  /** Equal neighbours are counted once. */
  distinctCharacters = 0;

  /** @param index of its values in a row. */
  constructor(name: string, index: number, options: TextOptions) {
    this.#name = name;
    this.#index = index;
    this.#options = options;
  }

  add(row: ExportedRow): void {
    const value = String(row[this.#index]);
    if (value !== this.#last) {
      this.#last = value;
      this.distinctCharacters += value.length;
    }
    this.#characters += value.length;
    this.#values.push(this.#last);
  }

  toSource(): ColumnSource {
    // By default, the library decides by a sample of 1,000 rows, in which short runs of equal values look distinct.
    const encoding = this.distinctCharacters * 2 <= this.#characters ? "RLE_DICTIONARY" : "PLAIN";
    return { name: this.#name, data: this.#values, encoding, ...this.#options };
  }
}

const DECODED_AT = EXPORTED_COLUMNS.indexOf("decoded_at");

class TimeColumn implements Column {
  readonly #values: bigint[] = [];
  readonly distinctCharacters = 0;

  add(row: ExportedRow): void {
    this.#values.push(BigInt(row[DECODED_AT] ?? 0));
  }

  toSource(): ColumnSource {
    return { name: "decode_time", data: this.#values, encoding: "PLAIN" };
  }
}

const MODEL_YEAR = EXPORTED_COLUMNS.indexOf("model_year");
const YEAR = /^\d{4}$/;

/** The model year as a number; null when it is not one. */
class YearColumn implements Column {
  readonly #values: (number | null)[] = [];
  readonly distinctCharacters = 0;

  add(row: ExportedRow): void {
    const year = String(row[MODEL_YEAR]);
    this.#values.push(YEAR.test(year) ? Number(year) : null);
  }

  toSource(): ColumnSource {
    return { name: "year", data: this.#values };
  }
}
