import { constants, type ServerHttp2Stream } from "node:http2";

import { status } from "@grpc/grpc-js";

import { refuseStream } from "./early-refusal.ts";

/** So many pieces of a request are looked at before their size matters. */
const graceful = 1000;

/** The least that a piece must have on average, in bytes. */
const minAverageBytes = 16;

/** What the client is told. */
export const tooManyPieces = "the request comes in too many small pieces";

const refusal = [
  ":status",
  "200",
  "content-type",
  "application/grpc",
  "grpc-status",
  String(status.RESOURCE_EXHAUSTED),
  "grpc-message",
  tooManyPieces,
];

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
    return this.#pieces > graceful && this.#bytes < this.#pieces * minAverageBytes;
  }
}

/** Refuses a gRPC call whose request comes so. */
export function refuseSmallPieces(stream: ServerHttp2Stream): void {
  const count = new PieceCount();
  stream.on("data", (piece: Buffer) => {
    if (count.isTooManyWith(piece.byteLength) && !stream.closed) {
      if (!stream.headersSent) {
        refuseStream(stream, refusal);
      }
      stream.close(constants.NGHTTP2_NO_ERROR);
    }
  });
}
