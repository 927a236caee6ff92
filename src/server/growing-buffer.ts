const EMPTY: Buffer = Buffer.alloc(0);

/**
 * Collects the chunks of a request. A single chunk is not copied. Of several, the bytes are copied together: chunks may
 * be tiny, and to keep each would take a hundred times its size.
 */
export class GrowingBuffer {
  #buffer = EMPTY;
  #length = 0;

  get byteLength(): number {
    return this.#length;
  }

  /** The bytes so far; they are not to be used after the next {@link append}. */
  get bytes(): Buffer {
    return this.#length === this.#buffer.byteLength ? this.#buffer : this.#buffer.subarray(0, this.#length);
  }

  append(chunk: Buffer): void {
    const needed = this.#length + chunk.byteLength;
    if (this.#length === 0) {
      this.#buffer = chunk;
    } else {
      if (needed > this.#buffer.byteLength) {
        const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.byteLength));
        this.#buffer.copy(grown, 0, 0, this.#length);
        this.#buffer = grown;
      }
      chunk.copy(this.#buffer, this.#length);
    }
    this.#length = needed;
  }

  clear(): void {
    this.#buffer = EMPTY;
    this.#length = 0;
  }
}
