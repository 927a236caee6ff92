import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { constants, sensitiveHeaders } from "node:http2";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { StreamRequest, StreamResponse, UnaryRequest, UnaryResponse } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Call } from "../rpc/call.ts";
import { REQUEST_ID_HEADER } from "../rpc/call.ts";
import { isPreparedRefusal } from "../rpc/describe-error.ts";
import type { Handle } from "../rpc/interceptors.ts";
import type { ServedMethod } from "../rpc/methods.ts";
import type { Peer } from "./exchange.ts";
import { chunksOf, drained } from "./exchange.ts";
import { CONTENT_TYPE, OK, RESERVED_HEADER, toHttp2Headers, toPreparedTrailers, toTrailers } from "./grpc-headers.ts";
import type { Frame, ReadOptions, WriteOptions } from "./grpc-messages.ts";
import { decodeMessage, encodeMessage, FrameReader } from "./grpc-messages.ts";
import { ServedRequest, ServedResponse, streamRequestOf } from "./handler.ts";
import { closeAfterAnswer, UNLISTED } from "./http2-exchange.ts";
import type { CallHost } from "./served-call.ts";
import { ServedCall } from "./served-call.ts";

type Message = MessageShape<DescMessage>;

const WITH_UNLISTED = { [sensitiveHeaders]: UNLISTED };
/** Like other gRPC servers, without a date. */
const WITH_TRAILERS = { waitForTrailers: true, sendDate: false };
/** Tells a client with an unsupported encoding which ones to use. */
const ACCEPTED_ENCODINGS = { "grpc-accept-encoding": "identity,gzip" };

/** A method served over gRPC. */
export interface GrpcMethod {
  readonly served: ServedMethod;
  readonly handle: Handle;
  /** Whether the client sends exactly one message, which is read before the call begins. */
  readonly hasOneRequest: boolean;
  readonly url: string;
  /** By whether the request says that its messages may be compressed. */
  readonly reading: { readonly plain: ReadOptions; readonly gzip: ReadOptions };
  /** By whether the client accepts compressed messages. */
  readonly writing: { readonly plain: WriteOptions; readonly gzip: WriteOptions };
}

/**
 * What the listeners of a stream refer to. Node keeps closed streams until the next full garbage collection. Their calls
 * are let go at once, so that they do not outlive the next scavenge.
 */
interface Hold {
  call: GrpcCall | undefined;
}

/** One gRPC call on its stream. */
export class GrpcCall extends ServedCall {
  readonly protocolName = "grpc";
  readonly httpMethod = "POST";
  readonly #method: GrpcMethod;
  readonly #stream: ServerHttp2Stream;
  readonly #hold: Hold = { call: this };
  readonly #readOptions: ReadOptions;
  readonly #writeOptions: WriteOptions;
  /** Reads a request with exactly one message. */
  #reader: FrameReader | undefined;
  /** That message, as received. */
  #frame: Frame | undefined;
  /** Why the request cannot be read. */
  #fault: ConnectError | undefined;
  #trailers = OK;
  #hasAnswered = false;
  writtenBytes = 0;

  constructor(
    call: Call,
    method: GrpcMethod,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    fault: ConnectError | undefined,
    peer: Peer,
    host: CallHost,
  ) {
    super(call, headers, peer, host);
    this.#method = method;
    this.#stream = stream;
    this.#fault = fault;
    this.#readOptions = method.reading[headers["grpc-encoding"] === "gzip" ? "gzip" : "plain"];
    this.#writeOptions = method.writing[headers["grpc-accept-encoding"]?.includes("gzip") === true ? "gzip" : "plain"];
    const hold = this.#hold;
    stream.on("close", () => {
      hold.call?.close();
      hold.call = undefined;
    });
  }

  get pendingBytes(): number {
    return this.writtenBytes === 0 ? 0 : this.#stream.bufferSize;
  }

  get url(): string {
    return this.#method.url;
  }

  protected get isOver(): boolean {
    return this.#hasAnswered || this.#stream.destroyed || this.#stream.closed;
  }

  protected read(): void {
    if (this.#fault === undefined && this.#method.hasOneRequest) {
      this.#readOne();
      return;
    }
    if (this.#fault !== undefined) {
      this.#stream.resume();
    }
    this.arrive();
  }

  protected run(): void | Promise<void> {
    if (this.#fault !== undefined) {
      throw this.#fault;
    }
    const response = this.#method.handle(this.#request());
    return response instanceof Promise ? response.then((ready) => this.#answer(ready)) : this.#answer(response);
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
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  #readOne(): void {
    this.#reader = new FrameReader(this.#readOptions);
    const hold = this.#hold;
    this.#stream.on("data", (chunk: Buffer) => hold.call?.takeChunk(chunk));
    this.#stream.on("end", () => hold.call?.takeEnd());
  }

  takeChunk(chunk: Buffer): void {
    if (this.hasArrived) {
      return;
    }
    for (const frame of this.#reader?.read(chunk) ?? []) {
      if (this.#frame !== undefined) {
        this.#fault = new ConnectError("the method takes one request message", Code.Unimplemented);
      }
      this.#frame = frame;
    }
    this.#fault ??= this.#reader?.fault;
    if (this.#fault !== undefined) {
      this.arrive();
    }
  }

  takeEnd(): void {
    if (this.#reader?.isInside === true) {
      this.#fault ??= new ConnectError("the request ends in the middle of its message", Code.InvalidArgument);
      // A client that cancels ends its request first, so wait to see whether a reset follows.
      setImmediate(() => this.arrive());
    } else {
      this.arrive();
    }
  }

  #request(): UnaryRequest | StreamRequest {
    const { spec } = this.#method.served;
    if (spec.kind === "unary") {
      return new ServedRequest(this, spec.method, this.#parseOne(spec.method.input));
    }
    const { input } = spec.method;
    const messages = this.#method.hasOneRequest ? this.#parseOneLater(input) : this.#parseEach(input);
    return streamRequestOf(this, spec.method, messages);
  }

  #parseOne(input: DescMessage): Message {
    if (this.#frame === undefined) {
      throw new ConnectError("the request message is missing", Code.Unimplemented);
    }
    return this.#parse(input, this.#frame);
  }

  /** Parsed when the handler asks for it, after the interceptors have run. */
  async *#parseOneLater(input: DescMessage): AsyncGenerator<Message> {
    yield this.#parseOne(input);
  }

  async *#parseEach(input: DescMessage): AsyncGenerator<Message> {
    const reader = new FrameReader(this.#readOptions);
    for await (const chunk of chunksOf(this.#stream)) {
      for (const frame of reader.read(chunk)) {
        yield this.#parse(input, frame);
      }
      if (reader.fault !== undefined) {
        throw reader.fault;
      }
    }
    if (reader.isInside) {
      throw new ConnectError("the request ends in the middle of a message", Code.InvalidArgument);
    }
  }

  #parse(input: DescMessage, frame: Frame): Message {
    this.call.isRequestCompressed ||= frame.isCompressed;
    return decodeMessage(input, frame, this.#readOptions);
  }

  #answer(response: UnaryResponse | StreamResponse): void | Promise<void> {
    return response.stream ? this.#answerStream(response) : this.#answerUnary(response);
  }

  #answerUnary(response: UnaryResponse): void {
    if (this.isOver) {
      return;
    }
    const frame = encodeMessage(response.method.output, response.message, this.#writeOptions);
    const isOwn = response instanceof ServedResponse;
    this.#writeHead(isOwn ? this.ownHeader : response.header, isCompressed(frame));
    this.#end(isOwn ? this.ownTrailer : response.trailer, frame);
  }

  async #answerStream({ message, method, header, trailer }: StreamResponse): Promise<void> {
    const messages = message[Symbol.asyncIterator]();
    try {
      for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
        if (this.isOver) {
          throw this.call.cutBy ?? new ConnectError("the call is over", Code.Canceled);
        }
        const frame = encodeMessage(method.output, next.value, this.#writeOptions);
        if (!this.#stream.headersSent) {
          this.#writeHead(header, this.#writeOptions.isGzip);
        }
        this.writtenBytes += frame.byteLength;
        if (!this.#stream.write(frame)) {
          await drained(this.#stream);
        }
      }
    } catch (error) {
      // Notifies the handler, unless it has failed itself.
      messages.return?.().catch(() => {});
      throw error;
    }
    if (this.isOver) {
      return;
    }
    if (!this.#stream.headersSent) {
      this.#writeHead(header, false);
    }
    this.#end(trailer);
  }

  #writeHead(header: Headers | undefined, isGzip: boolean): void {
    // A list of names and values costs Node less than an object.
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
    const hold = this.#hold;
    this.#stream.on("wantTrailers", () => hold.call?.sendTrailers());
  }

  sendTrailers(): void {
    this.#stream.sendTrailers(this.#trailers);
    this.#closeUnread();
  }

  #end(trailer: Headers | undefined, frame?: Buffer): void {
    this.#trailers = trailer === undefined ? OK : { ...toHttp2Headers(trailer), ...OK };
    this.#hasAnswered = true;
    this.writtenBytes += frame?.byteLength ?? 0;
    this.#stream.end(frame);
    this.#leaveRest();
    if (frame === undefined) {
      this.endWhenTaken(undefined, this.#stream);
    } else {
      this.end(undefined);
    }
  }

  /** Stops waiting for the rest of an answered request. */
  #leaveRest(): void {
    this.hasArrived = true;
    if (!this.#stream.readableEnded) {
      this.#stream.resume();
    }
  }

  /** Call this after the last headers of the answer are sent, so that closing the stream does not overtake them. */
  #closeUnread(): void {
    if (!this.#stream.readableEnded) {
      closeAfterAnswer(this.#stream, this.writtenBytes > 0);
    }
  }
}

function isCompressed(frame: Buffer): boolean {
  return frame[0] !== 0;
}
