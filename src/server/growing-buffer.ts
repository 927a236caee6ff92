const EMPTY: Buffer = Buffer.alloc(0);

/**
 * Collects the chunks of a request. A single chunk is not copied. Several chunks are copied into one buffer, because
 * chunks may be tiny, and a separate Buffer for each takes a hundred times its size.
 */
export class GrowingBuffer {
  #buffer: Buffer;
  #length: number;

  /** @param first the first chunk, if any */
  constructor(first = EMPTY) {
    this.#buffer = first;
    this.#length = first.byteLength;
  }

  get byteLength(): number {
    return this.#length;
  }

  /** The bytes so far. They are valid until the next {@link append}. */
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
}
