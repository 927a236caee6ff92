import type { IncomingMessage, ServerResponse } from "node:http";

import { Code, ConnectError } from "@connectrpc/connect";

import { toCallerAddress } from "../../access/caller-address.ts";
import { errorInfo } from "../../rpc/error-table.ts";
import { type IncompleteRequests, TOO_MUCH_INCOMPLETE } from "../limits/incomplete-requests.ts";
import { PieceCount, TOO_MANY_PIECES } from "../limits/small-pieces.ts";

/** The head of an envelope: enough to refuse a message for its size. */
const FIRST_BYTES = 5;
const MAX_PIECE_BYTES = 64 * 1024;

/** As much of a refused request is read and thrown away, so that its client gets to read the refusal. */
const MAX_DISCARDED_BYTES = 1024 * 1024;

/**
 * The body of a request in pieces that double in size, however it arrives: Connect's time for an envelope grows with
 * the square of the number of its pieces, and 60,000 chunks of one byte took it ten seconds. The request stays usable
 * when not all is read; see {@link discardRest}.
 *
 * @throws {ConnectError} RESOURCE_EXHAUSTED when the request arrives in too many small pieces, or there is no room for it
 * while it is incomplete
 */
export async function* readBody(request: IncomingMessage, incomplete: IncompleteRequests): AsyncGenerator<Uint8Array> {
  const address = toCallerAddress(request.socket.remoteAddress ?? "");
  let held = 0;
  const release = (): void => {
    incomplete.release(address, held);
    held = 0;
  };
  // Not every reader reads to the end, or says that it does not.
  request.once("close", release);
  try {
    for await (const piece of gather(request)) {
      if (!incomplete.take(address, piece.byteLength)) {
        throw refusal(TOO_MUCH_INCOMPLETE, "TOO_MUCH_INCOMPLETE");
      }
      held += piece.byteLength;
      yield piece;
    }
  } finally {
    release();
  }
}

async function* gather(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  const count = new PieceCount();
  let gathered = Buffer.allocUnsafe(FIRST_BYTES);
  let length = 0;
  const pieces: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  for await (const piece of pieces) {
    if (count.isTooManyWith(piece.byteLength)) {
      throw refusal(TOO_MANY_PIECES, "TOO_MANY_PIECES");
    }
    if (length + piece.byteLength < gathered.byteLength) {
      // Copied, for a small piece may be part of a large buffer.
      length += piece.copy(gathered, length);
      continue;
    }
    yield length === 0 ? piece : Buffer.concat([gathered.subarray(0, length), piece]);
    gathered = Buffer.allocUnsafe(Math.min(2 * gathered.byteLength, MAX_PIECE_BYTES));
    length = 0;
  }
  if (length > 0) {
    yield gathered.subarray(0, length);
  }
}

/**
 * To be called when a request has its answer and before that is sent: reads on and throws away what was not read, so
 * that the answer arrives and the connection can be used again. Who sends more than 1 MiB is cut off, and told so when
 * that is known before.
 */
export function discardRest(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete) {
    return;
  }
  if (request.httpVersionMajor === 1 && Number(request.headers["content-length"] ?? 0) > MAX_DISCARDED_BYTES) {
    response.setHeader("connection", "close");
  }
  let discarded = 0;
  request.on("error", () => {});
  request.on("data", (piece: Buffer) => {
    discarded += piece.byteLength;
    if (discarded > MAX_DISCARDED_BYTES) {
      request.destroy();
    }
  });
}

function refusal(message: string, reason: string): ConnectError {
  return new ConnectError(message, Code.ResourceExhausted, undefined, [errorInfo(reason)]);
}
