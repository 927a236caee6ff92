import { ByteWriter } from "hyparquet-writer";
import { writeRleBitPackedHybrid } from "hyparquet-writer/src/encoding.js";
import type { ExportedRow } from "../cache/exported-rows.ts";
import type { Bounds, ColumnContent, Page } from "./parquet-file.ts";
import { compress, PlainValues } from "./plain-values.ts";

const PAGE_BYTES = 1_048_576;

/** A column of texts that are written one by one. */
export class PlainTextColumn {
  readonly #index: number;
  readonly #values = new PlainValues();
  readonly #pages: Page[] = [];
  #pageRows = 0;
  sizeBytes = 0;

  /** @param index of the texts in a row. */
  constructor(index: number) {
    this.#index = index;
  }

  add(rows: readonly ExportedRow[]): void {
    const bytesBefore = this.#values.sizeBytes;
    for (const row of rows) {
      this.#values.addText(textAt(row, this.#index));
    }
    this.#pageRows += rows.length;
    this.sizeBytes += this.#values.sizeBytes - bytesBefore;
    if (this.#values.sizeBytes >= PAGE_BYTES) {
      this.#endPage();
    }
  }

  toContent(): ColumnContent {
    this.#endPage();
    return { pages: this.#pages };
  }

  #endPage(): void {
    if (this.#pageRows > 0) {
      this.#pages.push({ encoding: "PLAIN", rowCount: this.#pageRows, ...this.#values.take() });
      this.#pageRows = 0;
    }
  }
}

/** A dictionary up to this size is used even if few of its texts repeat. */
const SMALL_DICTIONARY_BYTES = 65_536;

/**
 * A column of texts that often repeat. Each is written once, into a dictionary, as long as this makes the column at
 * most half as large; the rest is written one by one.
 */
export class TextColumn {
  readonly #index: number;
  readonly #hasBounds: boolean;
  /** The texts of the dictionary, and their positions in it. */
  readonly #positions = new Map<string, number>();
  readonly #dictionary = new PlainValues();
  /** Runs of equal texts: their first rows, and their positions in the dictionary. */
  readonly #runStarts: number[] = [];
  readonly #runPositions: number[] = [];
  #lastText: string | undefined;
  #rowCount = 0;
  #characters = 0;
  readonly #rest: PlainTextColumn;
  #dictionaryPays = true;

  /**
   * @param index of the texts in a row.
   * @param hasBounds there are none, however, if some texts are not in the dictionary.
   */
  constructor(index: number, hasBounds: boolean) {
    this.#index = index;
    this.#hasBounds = hasBounds;
    this.#rest = new PlainTextColumn(index);
  }

  get sizeBytes(): number {
    return this.#dictionary.sizeBytes + this.#rest.sizeBytes;
  }

  add(rows: readonly ExportedRow[]): void {
    if (!this.#dictionaryPays) {
      this.#rest.add(rows);
      return;
    }
    for (const row of rows) {
      const text = textAt(row, this.#index);
      // Comparing neighbours is faster than hashing a long text.
      if (text !== this.#lastText) {
        this.#lastText = text;
        this.#runStarts.push(this.#rowCount);
        this.#runPositions.push(this.#positionOf(text));
      }
      this.#rowCount++;
      this.#characters += text.length;
    }
    const { sizeBytes } = this.#dictionary;
    this.#dictionaryPays = sizeBytes <= Math.max(SMALL_DICTIONARY_BYTES, this.#characters / 2);
  }

  toContent(): ColumnContent {
    const bounds = this.#hasBounds && this.#dictionaryPays ? boundsOf(this.#positions.keys()) : undefined;
    return {
      dictionary: { valueCount: this.#positions.size, ...this.#dictionary.take() },
      pages: [this.#toPage(), ...this.#rest.toContent().pages],
      bounds,
    };
  }

  #positionOf(text: string): number {
    const known = this.#positions.get(text);
    if (known !== undefined) {
      return known;
    }
    const position = this.#positions.size;
    this.#positions.set(text, position);
    this.#dictionary.addText(text);
    return position;
  }

  #toPage(): Page {
    const rowPositions = new Int32Array(this.#rowCount);
    for (const [run, position] of this.#runPositions.entries()) {
      rowPositions.fill(position, this.#runStarts[run], this.#runStarts[run + 1]);
    }
    const writer = new ByteWriter();
    const bitWidth = 32 - Math.clz32(this.#positions.size - 1);
    writer.appendUint8(bitWidth);
    writeRleBitPackedHybrid(writer, rowPositions, bitWidth);
    return { encoding: "RLE_DICTIONARY", rowCount: this.#rowCount, ...compress(writer.getBytes()) };
  }
}

function textAt(row: ExportedRow, index: number): string {
  const cell = row[index];
  return typeof cell === "string" ? cell : "";
}

function boundsOf(texts: Iterable<string>): Bounds | undefined {
  let bounds: { min: string; max: string } | undefined;
  for (const text of texts) {
    bounds ??= { min: text, max: text };
    bounds.min = isBefore(text, bounds.min) ? text : bounds.min;
    bounds.max = isBefore(bounds.max, text) ? text : bounds.max;
  }
  return bounds;
}

/** Characters that UTF-16 and UTF-8 put into different orders. */
const ORDERED_DIFFERENTLY = /[\ud800-\uffff]/;

/** Compares by the bytes of UTF-8, as readers do. */
function isBefore(left: string, right: string): boolean {
  return ORDERED_DIFFERENTLY.test(left) && ORDERED_DIFFERENTLY.test(right)
    ? Buffer.compare(Buffer.from(left), Buffer.from(right)) < 0
    : left < right;
}
