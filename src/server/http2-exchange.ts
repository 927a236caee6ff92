import type { IncomingHttpHeaders } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import { constants, sensitiveHeaders } from "node:http2";
import { addAbortSignal } from "node:stream";
import { REQUEST_ID_HEADER } from "../rpc/call.ts";
import type { AnswerHeaders, Peer } from "./exchange.ts";
import { Exchange } from "./exchange.ts";

/** A request over HTTP/2 that is not gRPC. */
export class Http2Exchange extends Exchange {
  readonly isHttp2 = true;
  readonly request: ServerHttp2Stream;
  readonly response: ServerHttp2Stream;
  #hasArrived: boolean;

  /** @param stream has a listener for errors */
  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: Peer) {
    super(headers[":method"]?.toString(), headers[":path"]?.toString(), headers, peer);
    this.request = stream;
    this.response = stream;
    this.#hasArrived = stream.endAfterHeaders;
    if (!this.#hasArrived) {
      stream.once("end", () => {
        this.#hasArrived = true;
      });
    }
  }

  get host(): string | undefined {
    return this.headers[":authority"]?.toString() ?? this.headers.host;
  }

  get hasArrived(): boolean {
    return this.#hasArrived;
  }

  get hasAnswered(): boolean {
    return this.response.headersSent;
  }

  get isClosed(): boolean {
    return this.response.destroyed || this.response.closed;
  }

  get pendingBytes(): number {
    return this.response.bufferSize;
  }

  writeHead(status: number, headers: AnswerHeaders): void {
    this.status = status;
    if (this.isClosed) {
      return;
    }
    this.response.respond({
      ":status": status,
      [REQUEST_ID_HEADER]: this.requestId,
      ...this.extraHeaders,
      ...headers,
      [sensitiveHeaders]: UNLISTED,
    });
  }

  endConnection(): void {}

  discardRest(): void {
    this.request.resume();
    if (!this.#hasArrived) {
      closeAfterAnswer(this.response);
    }
  }

  cut(): void {
    cutStream(this.response);
  }

  onClose(listener: () => void): void {
    this.response.once("close", listener);
  }
}

const ABORTED = AbortSignal.abort();

/**
 * Aborts an answer by a reset with the code CANCEL. `stream.close` would end the answer first, so that a part of it looked
 * complete, and would wait for the rest of the request.
 */
export function cutStream(stream: ServerHttp2Stream): void {
  addAbortSignal(ABORTED, stream);
}

/**
 * Headers that are kept out of HPACK's dynamic table. No two answers have the same id, so the entries would be useless,
 * and each answer would be compared with all of them.
 */
export const UNLISTED = [REQUEST_ID_HEADER];

/**
 * The delay between the end of an answer stream and the reset of a client that is still sending, in ms. After an
 * immediate reset, Node's clients see an aborted stream instead of the final status.
 */
const READ_END_MS = 1_000;

/** Tells the client of an answered request to stop sending. */
export function closeAfterAnswer(stream: ServerHttp2Stream, isStreamOfAnswers = false): void {
  const close = (): void => {
    if (!stream.closed) {
      stream.close(constants.NGHTTP2_NO_ERROR);
    }
  };
  // Delayed, because the reset could overtake the answer.
  const closeLater = (): void => {
    if (isStreamOfAnswers) {
      setTimeout(close, READ_END_MS).unref();
    } else {
      setImmediate(close);
    }
  };
  if (stream.writableFinished) {
    closeLater();
  } else {
    stream.once("finish", closeLater);
  }
}
