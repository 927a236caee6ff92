/** So many pieces of a request are looked at before their size matters. */
const UNWEIGHED_PIECES = 250;

/** The least that a piece must have on average, in bytes. */
const MIN_AVERAGE_BYTES = 16;

/** What the client is told. */
export const TOO_MANY_PIECES = "the request comes in too many small pieces";

/**
 * Counts the pieces in which one request arrives. A request costs by the piece rather than by the byte: a client that
 * sends a byte at a time pays ten for it, but makes us keep a hundred and more.
 */
export class PieceCount {
  #pieces = 0;
  #bytes = 0;

  /** Counts one more; whether they are too many and too small by now. */
  isTooManyWith(byteLength: number): boolean {
    this.#pieces++;
    this.#bytes += byteLength;
    return this.#pieces > UNWEIGHED_PIECES && this.#bytes < this.#pieces * MIN_AVERAGE_BYTES;
  }
}
