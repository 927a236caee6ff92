import { ByteWriter } from "hyparquet-writer";
import { writeRleBitPackedHybrid } from "hyparquet-writer/src/encoding.js";
import type { ExportedColumn, ExportedRow } from "../cache/exported-rows.ts";
import { EXPORTED_COLUMNS } from "../cache/exported-rows.ts";
import type { ColumnContent, ColumnSchema } from "./parquet-file.ts";
import { PlainValues } from "./plain-values.ts";
import { PlainTextColumn, TextColumn } from "./text-column.ts";

/** Encodes a column of one row group. */
interface Column {
  add(rows: readonly ExportedRow[]): void;
  /** The size of the values, in bytes, without their repetitions. */
  readonly sizeBytes: number;
  /** Call this once, after all rows were added. */
  toContent(): ColumnContent;
}

interface FileColumn {
  readonly schema: ColumnSchema;
  readonly create: () => Column;
}

/**
 * The columns of the file, in order. Users rely on the order: add new ones at the end. Only `year` can be null.
 *
 * Rows come in VIN order, so the bounds of `vin` in each row group let a reader skip nearly all groups. A bloom filter
 * would add nothing. Long texts have no bounds, because readers do not search by them.
 */
const FILE_COLUMNS: readonly FileColumn[] = [
  { schema: textSchema("vin"), create: () => new VinColumn() },
  text("make", "make", true),
  text("model", "model", true),
  text("model_year", "model_year", true),
  text("body_class", "body_class", true),
  text("source", "source", true),
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
  text("verdict", "verdict_codes", false),
  // The attributes are JSON, but are not marked as such: Polars would read the column as bytes.
  text("attributes", "attributes", false),
  { schema: { name: "year", type: "INT32", repetition_type: "OPTIONAL" }, create: () => new YearColumn() },
  text("verdict_text", "verdict_text", false),
  text("suggested_vin", "suggested_vin", false),
];

export const SCHEMA: readonly ColumnSchema[] = FILE_COLUMNS.map(({ schema }) => schema);

/** A column of texts, as the cache stores them. */
function text(name: string, stored: Exclude<ExportedColumn, "decoded_at">, hasBounds: boolean): FileColumn {
  return { schema: textSchema(name), create: () => new TextColumn(EXPORTED_COLUMNS.indexOf(stored), hasBounds) };
}

function textSchema(name: string): ColumnSchema {
  const logical_type = { type: "STRING" } as const;
  return { name, type: "BYTE_ARRAY", converted_type: "UTF8", logical_type, repetition_type: "REQUIRED" };
}

/** Encodes the rows of one row group. */
export class VehicleColumns {
  readonly #columns = FILE_COLUMNS.map(({ create }) => create());
  #rowCount = 0;

  get rowCount(): number {
    return this.#rowCount;
  }

  /** See {@link Column.sizeBytes}. */
  get sizeBytes(): number {
    return this.#columns.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  }

  add(rows: readonly ExportedRow[]): void {
    this.#rowCount += rows.length;
    for (const column of this.#columns) {
      column.add(rows);
    }
  }

  toContents(): ColumnContent[] {
    return this.#columns.map((column) => column.toContent());
  }
}

/** The VINs differ from each other and are sorted. */
class VinColumn implements Column {
  readonly #texts = new PlainTextColumn(EXPORTED_COLUMNS.indexOf("vin"));
  #first: string | undefined;
  #last = "";

  get sizeBytes(): number {
    return this.#texts.sizeBytes;
  }

  add(rows: readonly ExportedRow[]): void {
    this.#texts.add(rows);
    this.#first ??= rows[0]?.[0];
    this.#last = rows.at(-1)?.[0] ?? this.#last;
  }

  toContent(): ColumnContent {
    return { ...this.#texts.toContent(), bounds: { min: this.#first ?? "", max: this.#last } };
  }
}

const DECODED_AT = EXPORTED_COLUMNS.indexOf("decoded_at");

class TimeColumn implements Column {
  readonly #times = new PlainValues();
  #rowCount = 0;
  #min = Infinity;
  #max = -Infinity;

  get sizeBytes(): number {
    return this.#times.sizeBytes;
  }

  add(rows: readonly ExportedRow[]): void {
    for (const row of rows) {
      const time = Number(row[DECODED_AT]);
      this.#times.addInt64(time);
      this.#min = Math.min(this.#min, time);
      this.#max = Math.max(this.#max, time);
    }
    this.#rowCount += rows.length;
  }

  toContent(): ColumnContent {
    return {
      pages: [{ encoding: "PLAIN", rowCount: this.#rowCount, ...this.#times.take() }],
      bounds: { min: this.#min, max: this.#max },
    };
  }
}

const MODEL_YEAR = EXPORTED_COLUMNS.indexOf("model_year");
const YEAR = /^\d{4}$/;

/** The model year as a number; null when it is not one. */
class YearColumn implements Column {
  readonly #years = new PlainValues();
  /** 1 for each row with a year, 0 for each that is null. */
  readonly #levels: number[] = [];
  #nullCount = 0;
  #lastText = "";
  #lastYear: number | undefined;
  #min = Infinity;
  #max = -Infinity;

  get sizeBytes(): number {
    return this.#years.sizeBytes;
  }

  add(rows: readonly ExportedRow[]): void {
    for (const row of rows) {
      const text = String(row[MODEL_YEAR]);
      if (text !== this.#lastText) {
        this.#lastText = text;
        this.#lastYear = this.#parse(text);
      }
      if (this.#lastYear === undefined) {
        this.#nullCount++;
        this.#levels.push(0);
      } else {
        this.#years.addInt32(this.#lastYear);
        this.#levels.push(1);
      }
    }
  }

  toContent(): ColumnContent {
    const writer = new ByteWriter();
    writeRleBitPackedHybrid(writer, this.#levels, 1);
    const rowCount = this.#levels.length;
    const nulls = { count: this.#nullCount, definitionLevels: writer.getBytes() };
    return {
      pages: [{ encoding: "PLAIN", rowCount, nulls, ...this.#years.take() }],
      bounds: this.#nullCount === rowCount ? undefined : { min: this.#min, max: this.#max },
    };
  }

  #parse(text: string): number | undefined {
    if (!YEAR.test(text)) {
      return undefined;
    }
    const year = Number(text);
    this.#min = Math.min(this.#min, year);
    this.#max = Math.max(this.#max, year);
    return year;
  }
}
