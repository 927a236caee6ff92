import { zstdCompressSync } from "node:zlib";
import type { CompressedValues } from "./parquet-file.ts";

const FIRST_BYTES = 4_096;
const LENGTH_BYTES = 4;
/** The most that UTF-8 takes for a UTF-16 code unit. */
const BYTES_PER_CHARACTER = 3;

/** Collects values in Parquet's PLAIN encoding. */
export class PlainValues {
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #sizeBytes = 0;

  /** The size of the values since the last {@link take}. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  addText(text: string): void {
    this.#reserve(LENGTH_BYTES + BYTES_PER_CHARACTER * text.length);
    const lengthBytes = this.#buffer.write(text, this.#sizeBytes + LENGTH_BYTES);
    this.#buffer.writeUInt32LE(lengthBytes, this.#sizeBytes);
    this.#sizeBytes += LENGTH_BYTES + lengthBytes;
  }

  addInt32(value: number): void {
    this.#reserve(4);
    this.#sizeBytes = this.#buffer.writeInt32LE(value, this.#sizeBytes);
  }

  /** @param value a safe integer. A bigint would have to be allocated. */
  addInt64(value: number): void {
    this.#reserve(8);
    const high = Math.floor(value / 2 ** 32);
    this.#sizeBytes = this.#buffer.writeUInt32LE(value >>> 0, this.#sizeBytes);
    this.#sizeBytes = this.#buffer.writeInt32LE(high, this.#sizeBytes);
  }

  /** Compresses the values and removes them. */
  take(): CompressedValues {
    const values = compress(this.#buffer.subarray(0, this.#sizeBytes));
    this.#sizeBytes = 0;
    return values;
  }

  #reserve(bytes: number): void {
    if (this.#sizeBytes + bytes > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#sizeBytes + bytes));
      this.#buffer.copy(larger, 0, 0, this.#sizeBytes);
      this.#buffer = larger;
    }
  }
}

export function compress(encoded: Uint8Array): CompressedValues {
  return { bytes: zstdCompressSync(encoded), encodedSize: encoded.length };
}
