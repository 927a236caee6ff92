import { createReadStream } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { basename } from "node:path";
import { pipeline } from "node:stream";
import { crc32, createInflateRaw } from "node:zlib";
import { SnapshotError } from "./snapshot-error.ts";

/** A file in a zip file. */
export interface ZipMember {
  readonly name: string;
  readonly crc: number;
  /** Its size in the zip file and when unpacked. */
  readonly packedBytes: number;
  readonly bytes: number;
  readonly isDeflated: boolean;
  /** The offset of its local header. */
  readonly headerAt: number;
}

// Names and layouts follow PKWARE's APPNOTE.TXT, chapter 4.
const LOCAL_HEADER = 0x04034b50;
const LOCAL_HEADER_BYTES = 30;
const DIRECTORY_ENTRY = 0x02014b50;
const DIRECTORY_ENTRY_BYTES = 46;
const END = 0x06054b50;
const END_BYTES = 22;
const END_64 = 0x06064b50;
const END_64_BYTES = 56;
const END_64_LOCATOR = 0x07064b50;
const END_64_LOCATOR_BYTES = 20;
const EXTRA_64 = 1;
const MAX_COMMENT_BYTES = 0xff_ff;
/** Marks a number that is too big for its field; a ZIP64 field of eight bytes has it instead. */
const SEE_ELSEWHERE = 0xff_ff_ff_ff;
const MAX_DIRECTORY_BYTES = 1 << 20;
const ENCRYPTED = 1;
const STORED = 0;
const DEFLATED = 8;
const CHUNK_BYTES = 1 << 20;

/**
 * Finds the one file of a kind in a zip file.
 *
 * @param ending the end of its name, in any case, such as `.sql`.
 * @throws SnapshotError when the zip file is truncated or damaged, or does not contain exactly one such file.
 */
export async function findZipMember(path: string, ending: string): Promise<ZipMember> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const members = await readDirectory(file, size, basename(path));
  const found = members.filter(({ entry }) => entry.name.toLowerCase().endsWith(ending));
  const [first] = found;
  if (first === undefined || found.length > 1) {
    throw new SnapshotError(
      "database",
      `${basename(path)}: expected one ${ending} file in it, found ${found.length}; NHTSA's .plain.zip has one`,
    );
  }
  const { entry, method, flags } = first;
  if ((flags & ENCRYPTED) !== 0 || (method !== STORED && method !== DEFLATED)) {
    throw new SnapshotError(
      "database",
      `${basename(path)}: ${entry.name} is encrypted or compressed with a method other than deflate; unpack it yourself`,
    );
  }
  if (entry.packedBytes === 0) {
    throw new SnapshotError("database", `${basename(path)}: ${entry.name} is empty`);
  }
  if (entry.headerAt + LOCAL_HEADER_BYTES + entry.packedBytes > size) {
    throw cutShort(basename(path));
  }
  return entry;
}

/**
 * Reads a file in a zip file, chunk by chunk.
 *
 * @throws SnapshotError at the end when its size or checksum is wrong; errors of zlib when it cannot be unpacked.
 */
export async function* readZipMember(path: string, member: ZipMember): AsyncGenerator<Buffer, void, undefined> {
  const start = await findContent(path, member);
  const packed = createReadStream(path, { start, end: start + member.packedBytes - 1, highWaterMark: CHUNK_BYTES });
  const content = member.isDeflated
    ? // An error of either stream also ends the last one, which is read here.
      pipeline(packed, createInflateRaw({ chunkSize: CHUNK_BYTES }), () => undefined)
    : packed;
  let bytes = 0;
  let crc = 0;
  for await (const chunk of content as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    crc = crc32(chunk, crc);
    if (bytes > member.bytes) {
      break;
    }
    yield chunk;
  }
  if (bytes !== member.bytes || crc !== member.crc) {
    const fault = bytes === member.bytes ? "the checksum" : "the size";
    throw new SnapshotError("database", `${fault} of ${member.name} is wrong: download ${basename(path)} again`);
  }
}

async function findContent(path: string, { headerAt, name }: ZipMember): Promise<number> {
  await using file = await open(path, "r");
  const header = await readAt(file, headerAt, LOCAL_HEADER_BYTES, basename(path));
  if (header.readUInt32LE(0) !== LOCAL_HEADER) {
    throw new SnapshotError("database", `${basename(path)}: the header of ${name} is damaged`);
  }
  return headerAt + LOCAL_HEADER_BYTES + header.readUInt16LE(26) + header.readUInt16LE(28);
}

interface DirectoryEntry {
  readonly entry: ZipMember;
  readonly method: number;
  readonly flags: number;
}

async function readDirectory(file: FileHandle, size: number, zipName: string): Promise<DirectoryEntry[]> {
  const { at, bytes } = await findDirectory(file, size, zipName);
  if (bytes > MAX_DIRECTORY_BYTES) {
    throw new SnapshotError("database", `${zipName}: it has too many files`);
  }
  const directory = await readAt(file, at, bytes, zipName);
  const entries: DirectoryEntry[] = [];
  for (let place = 0; place < bytes;) {
    const isWhole = place + DIRECTORY_ENTRY_BYTES <= bytes && directory.readUInt32LE(place) === DIRECTORY_ENTRY;
    const end = isWhole ? place + entryLength(directory, place) : Infinity;
    if (end > bytes) {
      throw new SnapshotError("database", `${zipName}: its directory is damaged`);
    }
    entries.push(toEntry(directory.subarray(place, end)));
    place = end;
  }
  return entries;
}

function entryLength(directory: Buffer, place: number): number {
  const variable = [28, 30, 32].map((field) => directory.readUInt16LE(place + field));
  return variable.reduce((sum, bytes) => sum + bytes, DIRECTORY_ENTRY_BYTES);
}

function toEntry(bytes: Buffer): DirectoryEntry {
  const nameEnd = DIRECTORY_ENTRY_BYTES + bytes.readUInt16LE(28);
  const wide = new WideFields(bytes.subarray(nameEnd, nameEnd + bytes.readUInt16LE(30)));
  const method = bytes.readUInt16LE(10);
  // ZIP64 fields follow each other in this order.
  const unpackedBytes = wide.resolve(bytes.readUInt32LE(24));
  const packedBytes = wide.resolve(bytes.readUInt32LE(20));
  const headerAt = wide.resolve(bytes.readUInt32LE(42));
  return {
    entry: {
      name: bytes.toString("utf8", DIRECTORY_ENTRY_BYTES, nameEnd),
      crc: bytes.readUInt32LE(16),
      packedBytes,
      bytes: unpackedBytes,
      isDeflated: method === DEFLATED,
      headerAt,
    },
    method,
    flags: bytes.readUInt16LE(8),
  };
}

/** The ZIP64 numbers of a member: eight bytes, where four are not enough. */
class WideFields {
  readonly #bytes: Buffer;
  #next = 0;

  /** @param extra the extra fields of a directory entry: each an id, a length and that many bytes. */
  constructor(extra: Buffer) {
    let place = 0;
    while (place + 4 <= extra.length && extra.readUInt16LE(place) !== EXTRA_64) {
      place += 4 + extra.readUInt16LE(place + 2);
    }
    this.#bytes = place + 4 <= extra.length ? extra.subarray(place + 4) : Buffer.alloc(0);
  }

  resolve(narrow: number): number {
    if (narrow !== SEE_ELSEWHERE || this.#next + 8 > this.#bytes.length) {
      return narrow;
    }
    this.#next += 8;
    return Number(this.#bytes.readBigUInt64LE(this.#next - 8));
  }
}

/** Finds the directory of all members, by the record at the end of the file. */
async function findDirectory(file: FileHandle, size: number, zipName: string): Promise<{ at: number; bytes: number }> {
  const tailBytes = Math.min(size, END_64_LOCATOR_BYTES + END_BYTES + MAX_COMMENT_BYTES);
  const tail = await readAt(file, size - tailBytes, tailBytes, zipName);
  const signature = Buffer.alloc(4);
  signature.writeUInt32LE(END);
  const end = tail.lastIndexOf(signature);
  if (end < 0 || end + END_BYTES > tail.length) {
    throw cutShort(zipName);
  }
  const bytes = tail.readUInt32LE(end + 12);
  const at = tail.readUInt32LE(end + 16);
  const locator = end - END_64_LOCATOR_BYTES;
  if (locator < 0 || tail.readUInt32LE(locator) !== END_64_LOCATOR) {
    return { at, bytes };
  }
  const wideEnd = await readAt(file, Number(tail.readBigUInt64LE(locator + 8)), END_64_BYTES, zipName);
  if (wideEnd.readUInt32LE(0) !== END_64) {
    throw cutShort(zipName);
  }
  return { at: Number(wideEnd.readBigUInt64LE(48)), bytes: Number(wideEnd.readBigUInt64LE(40)) };
}

async function readAt(file: FileHandle, position: number, length: number, zipName: string): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  if (bytesRead < length) {
    throw cutShort(zipName);
  }
  return buffer;
}

function cutShort(zipName: string): SnapshotError {
  return new SnapshotError("database", `${zipName}: the zip file is truncated: download it again`);
}
