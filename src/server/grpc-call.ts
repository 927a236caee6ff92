import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { sensitiveHeaders } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import { REQUEST_ID_HEADER } from "../rpc/call.ts";
import { isPreparedRefusal } from "../rpc/describe-error.ts";
import type { Peer } from "./exchange.ts";
import { CONTENT_TYPE, OK, RESERVED_HEADER, toHttp2Headers, toPreparedTrailers, toTrailers } from "./grpc-headers.ts";
import type { RpcMethod } from "./handler.ts";
import { closeAfterAnswer, cutStream, UNLISTED } from "./http2-exchange.ts";
import { FrameReader } from "./messages.ts";
import type { CallStream } from "./rpc-call.ts";
import { callOfStream, RpcCall } from "./rpc-call.ts";
import type { CallHost } from "./served-call.ts";

const WITH_UNLISTED = { [sensitiveHeaders]: UNLISTED };
/** Other gRPC servers send no date either. */
const WITH_TRAILERS = { waitForTrailers: true, sendDate: false };
/** Sent to a client that uses an unsupported encoding. */
const ACCEPTED_ENCODINGS = { "grpc-accept-encoding": "identity,gzip" };

/** A gRPC request whose headers have been parsed. */
export interface GrpcRequest {
  readonly method: RpcMethod;
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly peer: Peer;
  readonly requestId: string;
  /** The client's time limit, in ms; undefined when it sets none. */
  readonly timeoutMs: number | undefined;
  /** Why the request cannot be served. */
  readonly fault: ConnectError | undefined;
}

/** One gRPC call, on an HTTP/2 stream of its own. */
export class GrpcCall extends RpcCall {
  readonly protocolName = "grpc";
  readonly requestMethod = "POST";
  readonly #stream: ServerHttp2Stream;
  #trailers = OK;
  #hasAnswered = false;
  writtenBytes = 0;

  constructor({ method, stream, headers, peer, requestId, timeoutMs, fault }: GrpcRequest, host: CallHost) {
    const { maxRequestBytes, maxResponseBytes, compressResponses } = method.rule;
    const reading = {
      maxBytes: maxRequestBytes,
      isGzip: headers["grpc-encoding"] === "gzip",
      // The gRPC specification requires this code.
      strayGzipCode: Code.Internal,
    };
    super({
      host,
      method,
      protocol: "grpc",
      requestId,
      headers,
      peer,
      timeoutMs,
      request: stream,
      answer: stream,
      reader: new FrameReader(reading),
      reading,
      writing: {
        maxBytes: maxResponseBytes,
        isGzip: compressResponses && headers["grpc-accept-encoding"]?.includes("gzip") === true,
      },
      fault,
    });
    this.#stream = stream;
    stream.on("close", closeCall);
  }

  get pendingBytes(): number {
    return this.writtenBytes === 0 ? 0 : this.#stream.bufferSize;
  }

  get isOver(): boolean {
    return this.#hasAnswered || this.#stream.destroyed || this.#stream.closed;
  }

  protected get hasHead(): boolean {
    return this.#stream.headersSent;
  }

  protected answerError(error: ConnectError): void {
    const trailers = isPreparedRefusal(error) ? toPreparedTrailers(error) : toTrailers(error);
    // Trailers that the handler set before it failed are sent too.
    this.#trailers = { ...toHttp2Headers(this.ownTrailer), ...trailers };
    this.#hasAnswered = true;
    if (this.#stream.headersSent) {
      this.#stream.end();
    } else {
      this.#stream.respond(
        {
          ":status": 200,
          "content-type": CONTENT_TYPE,
          [REQUEST_ID_HEADER]: this.call.id,
          ...(error.code === Code.Unimplemented ? ACCEPTED_ENCODINGS : undefined),
          ...toHttp2Headers(this.ownHeader),
          ...this.#trailers,
          [sensitiveHeaders]: UNLISTED,
        },
        { endStream: true },
      );
      this.#closeUnread();
    }
    this.#leaveRest();
  }

  protected cutAnswer(): void {
    cutStream(this.#stream);
  }

  protected writeHead(header: Headers | undefined, isGzip: boolean): void {
    // Node is faster with a list of names and values than with an object.
    const head = [":status", "200", "content-type", CONTENT_TYPE, REQUEST_ID_HEADER, this.call.id];
    if (isGzip) {
      head.push("grpc-encoding", "gzip");
    }
    for (const [name, value] of header ?? []) {
      if (!RESERVED_HEADER.test(name)) {
        head.push(name, value);
      }
    }
    this.#stream.respond(Object.assign(head, WITH_UNLISTED), WITH_TRAILERS);
    this.#stream.on("wantTrailers", sendTrailers);
  }

  /** Called when the last message has been sent. */
  sendTrailers(): void {
    this.#stream.sendTrailers(this.#trailers);
    this.#closeUnread();
  }

  protected write(frame: Buffer): boolean {
    this.writtenBytes += frame.byteLength;
    return this.#stream.write(frame);
  }

  protected writeEnd(trailer: Headers | undefined, frame?: Buffer): void {
    this.#trailers = trailer === undefined ? OK : { ...toHttp2Headers(trailer), ...OK };
    this.#hasAnswered = true;
    this.writtenBytes += frame?.byteLength ?? 0;
    this.#stream.end(frame);
    this.#leaveRest();
  }

  /** Stops waiting for the rest of an answered request. */
  #leaveRest(): void {
    this.hasArrived = true;
    if (!this.#stream.readableEnded) {
      this.#stream.resume();
    }
  }

  /** Call this only after the last headers of the answer are sent. Otherwise the reset could overtake them. */
  #closeUnread(): void {
    if (!this.#stream.readableEnded) {
      closeAfterAnswer(this.#stream, this.writtenBytes > 0);
    }
  }
}

function closeCall(this: CallStream): void {
  callOfStream(this)?.close();
}

function sendTrailers(this: CallStream): void {
  const call = callOfStream(this);
  if (call instanceof GrpcCall) {
    call.sendTrailers();
  }
}
