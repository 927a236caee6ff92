import { writeSync } from "node:fs";
import type { ColumnChunk, KeyValue, OffsetIndex, ParquetType, RowGroup, SchemaElement } from "hyparquet";
import { ByteWriter } from "hyparquet-writer";
import { writePageHeader } from "hyparquet-writer/src/datapage.js";
import { writeIndexes } from "hyparquet-writer/src/indexes.js";
import { writeMetadata } from "hyparquet-writer/src/metadata.js";

/** A column of the file. */
export interface ColumnSchema extends SchemaElement {
  readonly type: ParquetType;
}

/** The values of a column in one row group. */
export interface ColumnContent {
  /** The values that pages with the encoding RLE_DICTIONARY refer to. */
  readonly dictionary?: Dictionary;
  readonly pages: readonly Page[];
  readonly bounds?: Bounds | undefined;
}

/** Values that were encoded, then compressed by ZSTD. */
export interface CompressedValues {
  readonly bytes: Uint8Array;
  /** In bytes, before compression. */
  readonly encodedSize: number;
}

interface Dictionary extends CompressedValues {
  readonly valueCount: number;
}

export interface Page extends CompressedValues {
  readonly encoding: "PLAIN" | "RLE_DICTIONARY";
  readonly rowCount: number;
  /** Only for a column that can be null. */
  readonly nulls?: Nulls;
}

interface Nulls {
  readonly count: number;
  /** 1 for each row with a value, 0 for each without, encoded. */
  readonly definitionLevels: Uint8Array;
}

/** The smallest and the largest value. */
export interface Bounds {
  readonly min: string | number;
  readonly max: string | number;
}

const MAGIC = 0x31_52_41_50;
/** A truncated bound is correct but not exact. The default of 16 would truncate VINs. */
const BOUND_BYTES = 32;
const FLUSH_BYTES = 1_048_576;
const NO_NULLS: Nulls = { count: 0, definitionLevels: new Uint8Array() };

/**
 * Writes row groups into an open file as Parquet. The file stays open.
 *
 * Columns arrive encoded, because the library's writer takes one value for each row and column, in arrays. Collecting
 * these arrays and walking through them several times takes longer than reading the rows.
 */
export class ParquetFile {
  readonly #file: FileWriter;
  readonly #columns: readonly ColumnSchema[];
  readonly #groups: RowGroup[] = [];
  readonly #indexes: { readonly chunk: ColumnChunk; readonly offsetIndex: OffsetIndex }[] = [];
  #rowCount = 0;

  constructor(fd: number, columns: readonly ColumnSchema[]) {
    this.#file = new FileWriter(fd);
    this.#columns = columns;
    this.#file.appendUint32(MAGIC);
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  /** @param contents one for each column, in their order. */
  writeGroup(rowCount: number, contents: readonly ColumnContent[]): void {
    const start = this.#file.offset;
    const columns = this.#columns.map((schema, index) =>
      this.#writeColumn(schema, rowCount, contents[index] ?? { pages: [] }),
    );
    this.#groups.push({
      columns,
      num_rows: BigInt(rowCount),
      total_byte_size: columns.reduce((total, { meta_data }) => total + meta_data.total_uncompressed_size, 0n),
      total_compressed_size: BigInt(this.#file.offset - start),
    });
    this.#rowCount += rowCount;
  }

  /**
   * Writes the footer.
   *
   * @returns the size of the file in bytes.
   */
  finish(createdBy: string, properties: KeyValue[]): number {
    writeIndexes(this.#file, this.#indexes);
    const metadata = {
      version: 2,
      created_by: createdBy,
      schema: [{ name: "vehicles", num_children: this.#columns.length }, ...this.#columns],
      num_rows: BigInt(this.#rowCount),
      row_groups: this.#groups,
      key_value_metadata: properties,
      // Demanded by the type, but not written.
      metadata_length: 0,
    };
    writeMetadata(this.#file, metadata, BOUND_BYTES);
    this.#file.appendUint32(MAGIC);
    this.#file.finish();
    return this.#file.offset;
  }

  #writeColumn(schema: ColumnSchema, rowCount: number, { dictionary, pages, bounds }: ColumnContent) {
    const start = this.#file.offset;
    if (dictionary !== undefined) {
      this.#writeDictionary(dictionary);
    }
    const pagesStart = this.#file.offset;
    const page_locations = this.#writePages(pages);
    const compressedSize = this.#file.offset - start;
    const parts = dictionary === undefined ? pages : [dictionary, ...pages];
    const savedSize = sum(parts.map(({ bytes, encodedSize }) => encodedSize - bytes.length));
    const chunk = {
      file_offset: BigInt(start),
      meta_data: {
        type: schema.type,
        path_in_schema: [schema.name],
        codec: "ZSTD",
        // Dictionaries are plain.
        encodings: Array.from(new Set(["PLAIN" as const, ...pages.map(({ encoding }) => encoding)])),
        num_values: BigInt(rowCount),
        total_compressed_size: BigInt(compressedSize),
        total_uncompressed_size: BigInt(compressedSize + savedSize),
        ...(dictionary !== undefined && { dictionary_page_offset: BigInt(start) }),
        data_page_offset: BigInt(pagesStart),
        statistics: {
          null_count: BigInt(sum(pages.map(({ nulls }) => nulls?.count ?? 0))),
          ...(bounds !== undefined && { min_value: bounds.min, max_value: bounds.max }),
        },
      },
    } satisfies ColumnChunk;
    this.#indexes.push({ chunk, offsetIndex: { page_locations } });
    return chunk;
  }

  #writeDictionary({ valueCount, bytes, encodedSize }: Dictionary): void {
    writePageHeader(this.#file, {
      type: "DICTIONARY_PAGE",
      uncompressed_page_size: encodedSize,
      compressed_page_size: bytes.length,
      dictionary_page_header: { num_values: valueCount, encoding: "PLAIN" },
    });
    this.#file.appendBytes(bytes);
  }

  #writePages(pages: readonly Page[]): OffsetIndex["page_locations"] {
    let firstRow = 0;
    return pages.map((page) => {
      const start = this.#file.offset;
      this.#writePage(page);
      const first_row_index = BigInt(firstRow);
      firstRow += page.rowCount;
      return { offset: BigInt(start), compressed_page_size: this.#file.offset - start, first_row_index };
    });
  }

  #writePage({ encoding, rowCount, nulls, bytes, encodedSize }: Page): void {
    const { count: nullCount, definitionLevels: levels } = nulls ?? NO_NULLS;
    writePageHeader(this.#file, {
      type: "DATA_PAGE_V2",
      uncompressed_page_size: levels.length + encodedSize,
      compressed_page_size: levels.length + bytes.length,
      data_page_header_v2: {
        num_values: rowCount,
        num_nulls: nullCount,
        num_rows: rowCount,
        encoding,
        definition_levels_byte_length: levels.length,
        repetition_levels_byte_length: 0,
        is_compressed: true,
      },
    });
    this.#file.appendBytes(levels);
    this.#file.appendBytes(bytes);
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** Buffers what is written, and writes it to an open file a mebibyte or more at a time. */
class FileWriter extends ByteWriter {
  readonly #fd: number;

  constructor(fd: number) {
    super(2 * FLUSH_BYTES);
    this.#fd = fd;
  }

  /** @throws the file system's error, such as ENOSPC. */
  override ensure(sizeBytes: number): void {
    if (this.index >= FLUSH_BYTES) {
      this.#flush();
    }
    super.ensure(sizeBytes);
  }

  override finish(): void {
    this.#flush();
  }

  #flush(): void {
    let written = 0;
    const bytes = this.getBytes();
    while (written < bytes.length) {
      // A disk that fills up accepts part of a write and refuses the next one.
      written += writeSync(this.#fd, bytes, written);
    }
    this.index = 0;
  }
}
