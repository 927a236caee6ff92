import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import { constants, sensitiveHeaders } from "node:http2";
import type { Readable, Writable } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import { REQUEST_ID_HEADER, requestIdOf } from "../rpc/call.ts";
import type { Line } from "./call-queue.ts";

/** Headers of an answer, by name in lower case. */
export type AnswerHeaders = Record<string, string | number | readonly string[]>;

/** The connection, as its requests see it. */
export interface Peer {
  /** The remote address, as `toCallerAddress` returns it. */
  readonly address: string;
  readonly line: Line;
}

/** One HTTP request and its answer, over HTTP/1.1 or HTTP/2. Everything except gRPC uses it. */
export interface Exchange {
  readonly isHttp2: boolean;
  readonly method: string;
  /** As sent, up to the question mark; not normalised, so that only one spelling reaches a route. */
  readonly path: string;
  /** As sent, from the question mark on; empty when there is none. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  /** The Host header or `:authority`, as sent; undefined when missing or sent twice. */
  readonly host: string | undefined;
  readonly requestId: string;
  readonly peer: Peer;
  readonly request: Readable;
  readonly response: Writable;
  /** Whether the whole request has arrived. */
  readonly hasArrived: boolean;
  readonly hasAnswered: boolean;
  /** The status of the answer; undefined before there is one. */
  readonly status: number | undefined;
  /** Whether the answer has been sent or its client has gone. */
  readonly isClosed: boolean;
  /** Bytes of the answer's body so far. */
  writtenBytes: number;
  /** Bytes of the body that the client has not taken yet. */
  readonly pendingBytes: number;
  /** Headers to add to any answer to this request. */
  readonly extraHeaders: AnswerHeaders;
  writeHead(status: number, headers: AnswerHeaders): void;
  /** Closes an HTTP/1.1 connection after this answer. An HTTP/2 connection stays open for its other streams. */
  endConnection(): void;
  /** Reads and discards the rest of an answered request, so that the connection can be reused. */
  discardRest(): void;
  /** Aborts the answer: resets the stream or closes the connection. */
  cut(): void;
  /** Calls the listener once, when {@link isClosed} becomes true. */
  onClose(listener: () => void): void;
}

/** Maximum number of bytes of an answered request that are read and discarded. */
const MAX_DISCARDED_BYTES = 1024 * 1024;

export class Http1Exchange implements Exchange {
  readonly isHttp2 = false;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly requestId: string;
  readonly peer: Peer;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly extraHeaders: AnswerHeaders = {};
  status: number | undefined;
  writtenBytes = 0;
  readonly #closeListeners: (() => void)[] = [];
  #isClosed = false;

  constructor(request: IncomingMessage, response: ServerResponse, peer: Peer) {
    this.method = request.method ?? "";
    [this.path, this.query] = splitTarget(request.url ?? "");
    this.requestId = requestIdOf(request.headers[REQUEST_ID_HEADER]);
    this.peer = peer;
    this.request = request;
    this.response = response;
    response.once("close", () => this.close());
  }

  get headers(): IncomingHttpHeaders {
    return this.request.headers;
  }

  get host(): string | undefined {
    const { rawHeaders, headers } = this.request;
    // Node uses the first of several Host headers; a proxy may use another.
    const isHost = (text: string, index: number): boolean => index % 2 === 0 && text.toLowerCase() === "host";
    return rawHeaders.findIndex(isHost) === rawHeaders.findLastIndex(isHost) ? headers.host : undefined;
  }

  get hasArrived(): boolean {
    return this.request.complete;
  }

  get hasAnswered(): boolean {
    return this.response.headersSent;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get pendingBytes(): number {
    // A pipelined answer that waits for earlier ones has no socket yet.
    return this.response.socket === null ? 0 : this.response.writableLength;
  }

  writeHead(status: number, headers: AnswerHeaders): void {
    if (!this.hasArrived && Number(this.headers["content-length"] ?? 0) > MAX_DISCARDED_BYTES) {
      this.endConnection();
    }
    this.status = status;
    this.response.writeHead(status, { [REQUEST_ID_HEADER]: this.requestId, ...this.extraHeaders, ...headers });
  }

  endConnection(): void {
    this.extraHeaders["connection"] = "close";
  }

  discardRest(): void {
    const { request } = this;
    if (request.complete) {
      request.resume();
      return;
    }
    let discardedBytes = 0;
    request.on("data", (piece: Buffer) => {
      discardedBytes += piece.byteLength;
      if (discardedBytes > MAX_DISCARDED_BYTES) {
        this.cut();
      }
    });
  }

  cut(): void {
    this.request.socket.destroy();
  }

  onClose(listener: () => void): void {
    this.#closeListeners.push(listener);
  }

  /** Call this when the connection has closed: Node does not notify answers that wait for earlier ones. */
  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      for (const listener of this.#closeListeners) {
        listener();
      }
    }
  }
}

export class Http2Exchange implements Exchange {
  readonly isHttp2 = true;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly requestId: string;
  readonly peer: Peer;
  readonly request: ServerHttp2Stream;
  readonly response: ServerHttp2Stream;
  readonly extraHeaders: AnswerHeaders = {};
  status: number | undefined;
  writtenBytes = 0;
  #hasArrived: boolean;

  /** @param stream has a listener for errors */
  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: Peer) {
    this.method = headers[":method"]?.toString() ?? "";
    [this.path, this.query] = splitTarget(headers[":path"]?.toString() ?? "");
    this.headers = headers;
    this.requestId = requestIdOf(headers[REQUEST_ID_HEADER]);
    this.peer = peer;
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
    this.response.close(constants.NGHTTP2_CANCEL);
  }

  onClose(listener: () => void): void {
    this.response.once("close", listener);
  }
}

/**
 * Headers that are kept out of HPACK's dynamic table: no later answer has the same id, and every answer would be
 * compared with all entries.
 */
export const UNLISTED = [REQUEST_ID_HEADER];

/**
 * How long a client that is still sending has to read the end of an answer stream before its stream is reset, in ms.
 * With an immediate reset, Node's clients see an aborted stream instead of the final status.
 */
const READ_END_MS = 1_000;

/** Tells the client of an answered request to stop sending. */
export function closeAfterAnswer(stream: ServerHttp2Stream, isStreamOfAnswers = false): void {
  const close = (): void => {
    if (!stream.closed) {
      stream.close(constants.NGHTTP2_NO_ERROR);
    }
  };
  // Not at once: the reset could overtake the answer.
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

/** Proxies may send the whole URL as the target. */
const ORIGIN = /^https?:\/\/[^/?#\\]+(?=\/)/i;

function splitTarget(sent: string): [path: string, query: string] {
  const target = sent.replace(ORIGIN, "");
  const mark = target.indexOf("?");
  return mark === -1 ? [target, ""] : [target.slice(0, mark), target.slice(mark)];
}

/** The headers of a request as Headers; values of names that end in `-bin` stay base64. */
export function toHeaders(incoming: IncomingHttpHeaders): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming)) {
    if (value !== undefined && !name.startsWith(":")) {
      headers.append(name, Array.isArray(value) ? value.join(", ") : value);
    }
  }
  return headers;
}

/** Answers with one line of text. */
export function answerText(exchange: Exchange, status: number, text: string, headers: AnswerHeaders = {}): void {
  answerBytes(exchange, status, { "content-type": "text/plain; charset=utf-8", ...headers }, `${text}\n`);
}

/** Answers with a complete body, unless there is already an answer. */
export function answerBytes(
  exchange: Exchange,
  status: number,
  headers: AnswerHeaders,
  body: string | Uint8Array,
): void {
  if (exchange.isClosed || exchange.hasAnswered) {
    return;
  }
  const length = Buffer.byteLength(body);
  exchange.writeHead(status, { ...headers, "content-length": length });
  exchange.writtenBytes += length;
  exchange.response.end(exchange.method === "HEAD" ? undefined : body);
  exchange.discardRest();
}

/**
 * Answers with a body that is produced as the client reads it. When the client leaves, the body's iterator is closed.
 */
export async function answerStream(
  exchange: Exchange,
  status: number,
  headers: AnswerHeaders,
  body: AsyncIterable<Uint8Array>,
): Promise<void> {
  const { response } = exchange;
  let hasBegun = false;
  for await (const chunk of body) {
    if (isOver(exchange)) {
      return;
    }
    if (!hasBegun) {
      hasBegun = true;
      exchange.writeHead(status, headers);
    }
    exchange.writtenBytes += chunk.byteLength;
    if (!response.write(chunk)) {
      await drained(response);
    }
  }
  if (isOver(exchange)) {
    return;
  }
  if (!hasBegun) {
    exchange.writeHead(status, headers);
  }
  response.end();
  exchange.discardRest();
}

/** Whether the answer has been ended elsewhere or the client has gone. */
function isOver({ isClosed, response }: Exchange): boolean {
  return isClosed || response.writableEnded;
}

/**
 * The chunks of a request, as they arrive. Leaving the loop early does not end the stream.
 *
 * @throws ConnectError CANCELLED when the client aborts the request
 */
export async function* chunksOf(request: Readable): AsyncGenerator<Buffer> {
  try {
    yield* request.iterator({ destroyOnReturn: false });
  } catch {
    throw new ConnectError("the client aborted the request", Code.Canceled);
  }
}

/** Resolves when a writable accepts more data, or never will. */
export function drained(writable: Writable): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      writable.off("drain", go);
      writable.off("close", go);
      resolve();
    };
    writable.on("drain", go);
    writable.on("close", go);
  });
}
