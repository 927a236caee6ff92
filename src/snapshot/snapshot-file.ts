import { writeFileSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { DefaultDeserializer, DefaultSerializer } from "node:v8";
import { crc32 } from "node:zlib";
import { systemCodeOf } from "../files/error-code.ts";
import type { SnapshotContent } from "./snapshot-content.ts";
import { PatternRecords, RECORD_BYTES } from "./pattern-records.ts";
import { SnapshotData } from "./snapshot-data.ts";

/** The state of the unpacked snapshot's file. */
export type Inspection =
  | { readonly state: "sound"; readonly data: SnapshotData }
  | { readonly state: "absent" | "outdated" | "damaged" };

/** The content of the file. */
interface Body {
  /** See SourceFile. */
  readonly stamp: string;
  readonly content: Omit<SnapshotContent, "patterns">;
}

/** Increase it whenever the content or the way it is built changes. Unpacked files of another version are rebuilt. */
const VERSION = 5;
/**
 * The header: eight characters, the version, the checksum of everything after it, the offset of the frame, and the size
 * of the pattern records in bytes. The pattern records follow it.
 */
const MAGIC = "VINDATA1";
const VERSION_AT = 8;
const CHECKSUM_AT = 12;
const FRAME_AT = 16;
const PATTERN_BYTES_AT = 20;
const HEADER_BYTES = 24;
/** Columns are used in place, so numbers of eight bytes must begin at a multiple of eight. */
const ALIGNMENT = 8;
const COLUMN_TYPES = [Uint8Array, Uint16Array, Uint32Array, Float64Array] as const;

type Column = InstanceType<(typeof COLUMN_TYPES)[number]>;

/**
 * Writes the unpacked snapshot: the pattern records, the other columns, then a frame that refers to these columns.
 * Flushes the file to the disk at the end.
 *
 * @param build creates the content. It must pass on all pattern records first; they are written immediately.
 */
export async function writeSnapshotFile(
  path: string,
  stamp: string,
  build: (addPatterns: (records: Uint8Array) => void) => Body["content"],
): Promise<void> {
  await using file = await open(path, "w");
  let checksum = 0;
  let patternBytes = 0;
  const write = (part: Uint8Array): void => {
    checksum = crc32(part, checksum);
    writeFileSync(file.fd, part);
  };
  writeFileSync(file.fd, Buffer.alloc(HEADER_BYTES));
  const content = build((records) => {
    write(records);
    patternBytes += records.length;
  });
  const serializer = new FrameSerializer(HEADER_BYTES + patternBytes);
  serializer.writeHeader();
  serializer.writeValue({ stamp, content } satisfies Body);
  for (const part of serializer.columns.flatMap(toAlignedBytes)) {
    write(part);
  }
  write(serializer.releaseBuffer());
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(MAGIC, "latin1");
  header.writeUInt32LE(VERSION, VERSION_AT);
  header.writeUInt32LE(checksum, CHECKSUM_AT);
  header.writeUInt32LE(serializer.frameAt, FRAME_AT);
  header.writeUInt32LE(patternBytes, PATTERN_BYTES_AT);
  await file.write(header, 0, HEADER_BYTES, 0);
  await file.sync();
}

/** Reads the unpacked snapshot into memory if it is intact and built from the source with this stamp. */
export async function openSnapshotFile(path: string, stamp: string): Promise<Inspection> {
  let bytes: NonSharedBuffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    return { state: systemCodeOf(error) === "ENOENT" ? "absent" : "damaged" };
  }
  if (bytes.length < HEADER_BYTES || bytes.toString("latin1", 0, VERSION_AT) !== MAGIC) {
    return { state: "damaged" };
  }
  if (bytes.readUInt32LE(VERSION_AT) !== VERSION) {
    return { state: "outdated" };
  }
  if (bytes.readUInt32LE(CHECKSUM_AT) !== crc32(bytes.subarray(HEADER_BYTES))) {
    return { state: "damaged" };
  }
  const deserializer = new FrameDeserializer(bytes);
  deserializer.readHeader();
  const body: Body = deserializer.readValue();
  if (body.stamp !== stamp) {
    return { state: "outdated" };
  }
  const patternCount = bytes.readUInt32LE(PATTERN_BYTES_AT) / RECORD_BYTES;
  const patterns = new PatternRecords(bytes.buffer, bytes.byteOffset + HEADER_BYTES, patternCount);
  return { state: "sound", data: new SnapshotData({ ...body.content, patterns }) };
}

/** Collects the columns instead of serializing them. */
class FrameSerializer extends DefaultSerializer {
  readonly columns: Column[] = [];
  /** The offset of the frame, after all columns so far. */
  frameAt: number;

  constructor(columnsAt: number) {
    super();
    this.frameAt = columnsAt;
  }

  _writeHostObject(column: Column): void {
    this.writeUint32(COLUMN_TYPES.findIndex((type) => column instanceof type));
    this.writeUint32(this.frameAt);
    this.writeUint32(column.length);
    this.columns.push(column);
    this.frameAt += column.byteLength + paddingOf(column);
  }
}

/** Restores the columns as views of the file's bytes. */
class FrameDeserializer extends DefaultDeserializer {
  readonly #bytes: ArrayBuffer;
  readonly #start: number;

  constructor(bytes: NonSharedBuffer) {
    super(bytes.subarray(bytes.readUInt32LE(FRAME_AT)));
    this.#bytes = bytes.buffer;
    this.#start = bytes.byteOffset;
  }

  _readHostObject(): Column {
    const Type = COLUMN_TYPES[this.readUint32()] ?? Uint8Array;
    const offset = this.#start + this.readUint32();
    return new Type(this.#bytes, offset, this.readUint32());
  }
}

function toAlignedBytes(column: Column): Buffer[] {
  return [Buffer.from(column.buffer, column.byteOffset, column.byteLength), Buffer.alloc(paddingOf(column))];
}

function paddingOf(column: Column): number {
  return (ALIGNMENT - (column.byteLength % ALIGNMENT)) % ALIGNMENT;
}
