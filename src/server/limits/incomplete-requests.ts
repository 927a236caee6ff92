export interface IncompleteRequestsOptions {
  /** For the requests from one address, in bytes. Default: 32 MiB. */
  readonly maxBytesPerAddress?: number;
  /** For all requests, in bytes. Default: 128 MiB. */
  readonly maxBytes?: number;
}

const MIB = 1024 * 1024;

/** What the client is told. */
export const TOO_MUCH_INCOMPLETE = "too much has been sent of requests that are incomplete; send fewer at once";

/**
 * Bounds what requests may hold that have not arrived whole. Each is small, but before it is whole nobody knows whose it
 * is, and a hundred connections with a hundred streams of 256 KiB would be 2.5 GB.
 */
export class IncompleteRequests {
  readonly #maxBytesPerAddress: number;
  readonly #maxBytes: number;
  readonly #bytesOf = new Map<string, number>();
  #bytes = 0;

  constructor({ maxBytesPerAddress = 32 * MIB, maxBytes = 128 * MIB }: IncompleteRequestsOptions = {}) {
    this.#maxBytesPerAddress = maxBytesPerAddress;
    this.#maxBytes = maxBytes;
  }

  /** Takes room for more bytes of a request; false when there is none, and then none is taken. */
  take(address: string, bytes: number): boolean {
    const ofAddress = (this.#bytesOf.get(address) ?? 0) + bytes;
    if (ofAddress > this.#maxBytesPerAddress || this.#bytes + bytes > this.#maxBytes) {
      return false;
    }
    this.#bytesOf.set(address, ofAddress);
    this.#bytes += bytes;
    return true;
  }

  /** Gives room back that was taken, when the request is whole or gone. */
  release(address: string, bytes: number): void {
    const left = (this.#bytesOf.get(address) ?? 0) - bytes;
    if (left > 0) {
      this.#bytesOf.set(address, left);
    } else {
      this.#bytesOf.delete(address);
    }
    this.#bytes -= bytes;
  }
}
