import { crc32, deflateRawSync } from "node:zlib";

export interface ZippedFile {
  readonly name: string;
  readonly content: string | Buffer;
  /** Default: deflated. */
  readonly isStored?: boolean;
  readonly isEncrypted?: boolean;
  /** Default: the right one. */
  readonly crc?: number;
  readonly bytes?: number;
}

const ELSEWHERE = 0xff_ff_ff_ff;

/**
 * A zip file with the layout of PKWARE's APPNOTE.TXT.
 *
 * @param isWide whether sizes and offsets are written as ZIP64.
 */
export function zip(files: readonly ZippedFile[], isWide = false): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const file of files) {
    const content = Buffer.from(file.content);
    const packed = file.isStored === true ? content : deflateRawSync(content);
    const name = Buffer.from(file.name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(isWide ? 45 : 20, 0);
    common.writeUInt16LE(file.isEncrypted === true ? 1 : 0, 2);
    common.writeUInt16LE(file.isStored === true ? 0 : 8, 4);
    common.writeUInt32LE(file.crc ?? crc32(content), 10);
    const bytes = file.bytes ?? content.length;
    common.writeUInt32LE(isWide ? ELSEWHERE : packed.length, 14);
    common.writeUInt32LE(isWide ? ELSEWHERE : bytes, 18);
    common.writeUInt16LE(name.length, 22);
    const extra = isWide ? Buffer.concat([uint16(1, 24), uint64(bytes, packed.length, at)]) : Buffer.alloc(0);
    common.writeUInt16LE(extra.length, 24);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(isWide ? ELSEWHERE : at, 10);
    directory.push(Buffer.from("PK\u0001\u0002"), uint16(45), common, place, name, extra);
    const member = Buffer.concat([Buffer.from("PK\u0003\u0004"), common, name, extra, packed]);
    parts.push(member);
    at += member.length;
  }
  return Buffer.concat([...parts, ...directory, endOf(Buffer.concat(directory).length, at, files.length, isWide)]);
}

function endOf(bytes: number, at: number, count: number, isWide: boolean): Buffer {
  const end = Buffer.concat([
    Buffer.from("PK\u0005\u0006"),
    uint16(0, 0, count, count),
    isWide ? Buffer.alloc(8, 0xff) : uint32(bytes, at),
    uint16(0),
  ]);
  if (!isWide) {
    return end;
  }
  return Buffer.concat([
    Buffer.from("PK\u0006\u0006"),
    uint64(44),
    uint16(45, 45),
    uint32(0, 0),
    uint64(count, count, bytes, at),
    Buffer.from("PK\u0006\u0007"),
    uint32(0),
    uint64(at + bytes),
    uint32(1),
    end,
  ]);
}

function uint16(...values: readonly number[]): Buffer {
  return Buffer.from(Uint16Array.from(values).buffer);
}

function uint32(...values: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer);
}

function uint64(...values: readonly number[]): Buffer {
  return Buffer.from(BigUint64Array.from(values, BigInt).buffer);
}
