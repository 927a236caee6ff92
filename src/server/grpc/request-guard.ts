import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";

import { status } from "@grpc/grpc-js";

import { toCallerAddress } from "../../access/caller-address.ts";
import { refuseCall, refuseStream } from "../limits/refuse-stream.ts";
import { parseGrpcTimeout } from "../limits/grpc-timeout.ts";
import { type IncompleteRequests, TOO_MUCH_INCOMPLETE } from "../limits/incomplete-requests.ts";
import { PieceCount, TOO_MANY_PIECES } from "../limits/small-pieces.ts";

/** The head of a message: whether it is compressed, and its length. */
const ENVELOPE_BYTES = 5;
const LENGTH_AT = 1;

/** The longest time that grpc-js takes for what it is: it reckons with 32 bits, and refuses what it takes for negative. */
const LONGEST_TIMEOUT_MS = 99_999_999;

/** Of messages, in both directions. */
const ACCEPT_ENCODING = "grpc-accept-encoding";
const ENCODINGS = "identity,gzip";

/** What every answer says of the encodings; grpc-js would promise more. */
export const offeredEncodings = { [ACCEPT_ENCODING]: ENCODINGS };

/**
 * Refuses calls by their headers: any method but POST, messages that are deflated, and times that are none. A time that
 * is longer than grpc-js can reckon with is made as long as it can; the ceiling of the method cuts it anyway.
 *
 * @returns whether the call was refused
 */
export function refusesHeaders(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
  if (headers[":method"] !== "POST") {
    refuseStream(stream, [":status", "405", "allow", "POST"]);
    return true;
  }
  if (headers["grpc-encoding"] === "deflate") {
    refuseCall(stream, status.UNIMPLEMENTED, "requests may be compressed with gzip, or not at all", [
      ACCEPT_ENCODING,
      ENCODINGS,
    ]);
    return true;
  }
  const given = headers["grpc-timeout"];
  if (given === undefined) {
    return false;
  }
  const timeoutMs = parseGrpcTimeout(String(given));
  if (timeoutMs === undefined) {
    refuseCall(
      stream,
      status.INVALID_ARGUMENT,
      "grpc-timeout is not up to eight digits and one of H, M, S, m, u and n",
    );
    return true;
  }
  if (timeoutMs === 0) {
    refuseCall(stream, status.DEADLINE_EXCEEDED, "the deadline has passed");
    return true;
  }
  if (timeoutMs > LONGEST_TIMEOUT_MS) {
    headers["grpc-timeout"] = `${LONGEST_TIMEOUT_MS}m`;
  }
  return false;
}

/** Refuses a call whose request comes in too many small pieces, or for which there is no room while it is incomplete. */
export function watchRequest(stream: ServerHttp2Stream, incomplete: IncompleteRequests): void {
  const count = new PieceCount();
  let held = 0;
  let address: string | undefined;
  const end = (message: string): void => {
    if (stream.closed) {
      return;
    }
    if (!stream.headersSent) {
      refuseCall(stream, status.RESOURCE_EXHAUSTED, message);
    }
    stream.close(constants.NGHTTP2_NO_ERROR);
  };
  stream.on("data", (piece: Buffer) => {
    if (address === undefined) {
      if (isWhole(piece)) {
        return;
      }
      const from = toCallerAddress(stream.session?.socket.remoteAddress ?? "");
      const release = (): void => {
        incomplete.release(from, held);
        held = 0;
      };
      stream.once("end", release);
      stream.once("close", release);
      address = from;
    }
    if (count.isTooManyWith(piece.byteLength)) {
      end(TOO_MANY_PIECES);
    } else if (incomplete.take(address, piece.byteLength)) {
      held += piece.byteLength;
    } else {
      end(TOO_MUCH_INCOMPLETE);
    }
  });
}

/** As nearly all messages are that come in their first piece. */
function isWhole(piece: Buffer): boolean {
  return piece.byteLength >= ENVELOPE_BYTES && piece.readUInt32BE(LENGTH_AT) + ENVELOPE_BYTES === piece.byteLength;
}
