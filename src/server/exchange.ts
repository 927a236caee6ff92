import type { IncomingHttpHeaders } from "node:http";
import type { Readable, Writable } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import { REQUEST_ID_HEADER, requestIdOf } from "../rpc/call.ts";
import type { Line } from "./line.ts";

/** Headers of an answer, by name in lower case. */
export type AnswerHeaders = Record<string, string | number | readonly string[]>;

/** The part of a connection that its requests use. */
export interface Peer {
  /** The remote address, as `toCallerAddress` returns it. */
  readonly address: string;
  readonly line: Line;
}

/** One HTTP request and its answer, over HTTP/1.1 or HTTP/2. Everything except gRPC uses it. */
export abstract class Exchange {
  abstract readonly isHttp2: boolean;
  readonly method: string;
  /** As sent, up to the question mark. It is not normalised, so that each route has only one spelling. */
  readonly path: string;
  /** As sent, from the question mark on; empty when there is none. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly requestId: string;
  readonly peer: Peer;
  /** Headers that every answer to this request gets. */
  readonly extraHeaders: AnswerHeaders = {};
  /** The status of the answer; undefined before there is one. */
  status: number | undefined;
  /** Bytes of the answer's body so far. */
  writtenBytes = 0;

  /** @param target as sent, with the query */
  constructor(method: string | undefined, target: string | undefined, headers: IncomingHttpHeaders, peer: Peer) {
    this.method = method ?? "";
    [this.path, this.query] = splitTarget(target ?? "");
    this.headers = headers;
    this.requestId = requestIdOf(headers[REQUEST_ID_HEADER]);
    this.peer = peer;
  }

  abstract readonly request: Readable;
  abstract readonly response: Writable;
  /** The Host header or `:authority`, as sent; undefined when missing or sent twice. */
  abstract readonly host: string | undefined;
  /** Whether the whole request has arrived. */
  abstract readonly hasArrived: boolean;
  abstract readonly hasAnswered: boolean;
  /** Whether the answer has been sent or the client has gone. */
  abstract readonly isClosed: boolean;
  /** Bytes of the body that the client has not taken yet. */
  abstract readonly pendingBytes: number;
  abstract writeHead(status: number, headers: AnswerHeaders): void;
  /** Closes an HTTP/1.1 connection after this answer. An HTTP/2 connection stays open for its other streams. */
  abstract endConnection(): void;
  /** Reads and discards the rest of an answered request, so that the connection can be reused. */
  abstract discardRest(): void;
  /** Aborts the answer: resets the stream or closes the connection. */
  abstract cut(): void;
  /** Calls the listener once, when {@link isClosed} becomes true. */
  abstract onClose(listener: () => void): void;
}

/** The start of a target that is a whole URL, which proxies may send. */
const ORIGIN = /^https?:\/\/[^/?#\\]+(?=\/)/i;

/** Splits the target of a request into the path and the query. The query keeps its question mark. */
function splitTarget(sent: string): [path: string, query: string] {
  const target = sent.replace(ORIGIN, "");
  const mark = target.indexOf("?");
  return mark === -1 ? [target, ""] : [target.slice(0, mark), target.slice(mark)];
}

/** Converts the headers of a request to Headers. Values of names that end in `-bin` stay base64. */
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

/** Answers with a complete body. Does nothing when there is already an answer. */
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
 * Answers with a body that is produced as the client reads it. Closes the body's iterator when the client leaves.
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

/** Whether other code has ended the answer or the client has gone. */
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

/** Resolves when a writable accepts more data, or has closed. */
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
