import type { Readable, Writable } from "node:stream";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { StreamRequest, StreamResponse, UnaryRequest, UnaryResponse } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { chunksOf, drained } from "./exchange.ts";
import type { RpcMethod } from "./handler.ts";
import { ServedRequest, ServedResponse, streamRequestOf } from "./handler.ts";
import type { Frame, MessageReader, ReadOptions, WriteOptions } from "./messages.ts";
import { decodeMessage, encodeMessage, isCompressed } from "./messages.ts";
import type { ServedCallInit } from "./served-call.ts";
import { ServedCall } from "./served-call.ts";

type Message = MessageShape<DescMessage>;

export interface RpcCallInit extends ServedCallInit {
  readonly method: RpcMethod;
  readonly request: Readable;
  readonly answer: Writable;
  /** Reads the messages of the request. */
  readonly reader: MessageReader;
  readonly reading: ReadOptions;
  readonly writing: WriteOptions;
  /** Why the request cannot be served. */
  readonly fault: ConnectError | undefined;
}

const callKey = Symbol("call");

/**
 * A stream that has its call until it closes. Node keeps closed streams with their listeners until the next full
 * garbage collection, so listeners are shared by all streams and find the call here.
 */
export interface CallStream {
  [callKey]?: RpcCall | undefined;
}

/** Reads, handles and answers the messages of a call. Subclasses write the parts of an answer in their protocol. */
export abstract class RpcCall extends ServedCall {
  readonly #method: RpcMethod;
  readonly #request: Readable & CallStream;
  readonly #answer: Writable;
  readonly #reader: MessageReader;
  readonly #reading: ReadOptions;
  protected readonly writing: WriteOptions;
  /** The message as received, if the method takes exactly one. */
  #frame: Frame | undefined;
  #fault: ConnectError | undefined;

  constructor(init: RpcCallInit) {
    super(init);
    this.#method = init.method;
    this.#request = init.request;
    this.#answer = init.answer;
    this.#reader = init.reader;
    this.#reading = init.reading;
    this.writing = init.writing;
    this.#fault = init.fault;
    this.#request[callKey] = this;
  }

  /** Whether the headers of the answer have been written. */
  protected abstract readonly hasHead: boolean;
  /** Writes the headers of a successful answer. @param isGzip whether the messages after them may be compressed */
  protected abstract writeHead(header: Headers | undefined, isGzip: boolean): void;
  /** Writes a message. Returns false when the next one should wait until the client has taken some of the answer. */
  protected abstract write(frame: Buffer): boolean;
  /** Ends a successful answer. @param frame the last message, if it has not been written */
  protected abstract writeEnd(trailer: Headers | undefined, frame?: Buffer): void;

  override close(): void {
    this.#request[callKey] = undefined;
    super.close();
  }

  protected read(): void {
    if (this.#fault !== undefined || !this.#method.hasOneRequest) {
      this.arrive();
      return;
    }
    this.#request.on("data", takeChunk);
    this.#request.on("end", takeEnd);
  }

  /** Called for each chunk of a request with one message. */
  takeChunk(chunk: Buffer): void {
    if (!this.hasArrived) {
      this.#take(this.#reader.read(chunk));
      if (this.#fault !== undefined) {
        this.arrive();
      }
    }
  }

  /** Called at the end of such a request. */
  takeEnd(): void {
    this.#take(this.#reader.end());
    if (this.#fault === undefined) {
      this.arrive();
    } else {
      // A client that cancels ends its request first. Waiting shows whether a reset follows.
      setImmediate(() => this.arrive());
    }
  }

  #take(frames: readonly Frame[]): void {
    for (const frame of frames) {
      if (this.#frame !== undefined) {
        this.#fault ??= new ConnectError(
          "the method takes one request message, but more were sent",
          Code.Unimplemented,
        );
      }
      this.#frame = frame;
    }
    this.#fault ??= this.#reader.fault;
  }

  protected run(): void | Promise<void> {
    if (this.#fault !== undefined) {
      throw this.#fault;
    }
    const response = this.#method.handle(this.#toRequest());
    return response instanceof Promise ? response.then((ready) => this.#send(ready)) : this.#send(response);
  }

  #toRequest(): UnaryRequest | StreamRequest {
    const { spec } = this.#method;
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

  /** Parses the message when the handler asks for it, after the interceptors have run. */
  async *#parseOneLater(input: DescMessage): AsyncGenerator<Message> {
    yield this.#parseOne(input);
  }

  async *#parseEach(input: DescMessage): AsyncGenerator<Message> {
    for await (const chunk of chunksOf(this.#request)) {
      for (const frame of this.#reader.read(chunk)) {
        yield this.#parse(input, frame);
      }
      if (this.#reader.fault !== undefined) {
        throw this.#reader.fault;
      }
    }
    this.#reader.end();
    if (this.#reader.fault !== undefined) {
      throw this.#reader.fault;
    }
  }

  #parse(input: DescMessage, frame: Frame): Message {
    this.call.isRequestCompressed ||= frame.isCompressed;
    return decodeMessage(input, frame, this.#reading);
  }

  #send(response: UnaryResponse | StreamResponse): void | Promise<void> {
    if (response.stream) {
      return this.#sendStream(response);
    }
    if (!this.isOver) {
      const isOwn = response instanceof ServedResponse;
      const header = isOwn ? this.ownHeader : response.header;
      const trailer = isOwn ? this.ownTrailer : response.trailer;
      this.sendUnary(response.method.output, response.message, header, trailer);
      this.end(undefined);
    }
    return undefined;
  }

  /** Sends a complete answer. Headers and trailers are undefined when there are none. */
  protected sendUnary(
    schema: DescMessage,
    message: Message,
    header: Headers | undefined,
    trailer: Headers | undefined,
  ): void {
    const frame = encodeMessage(schema, message, this.writing);
    this.writeHead(header, isCompressed(frame));
    this.writeEnd(trailer, frame);
  }

  async #sendStream({ message, method, header, trailer }: StreamResponse): Promise<void> {
    const messages = message[Symbol.asyncIterator]();
    try {
      for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
        if (this.isOver) {
          throw this.call.cutBy ?? new ConnectError("the call is over", Code.Canceled);
        }
        const frame = encodeMessage(method.output, next.value, this.writing);
        if (!this.hasHead) {
          this.writeHead(header, this.writing.isGzip);
        }
        if (!this.write(frame)) {
          await drained(this.#answer);
        }
      }
    } catch (error) {
      // Notifies the handler that its messages are no longer needed. Has no effect if the handler itself has failed.
      messages.return?.().catch(() => {});
      throw error;
    }
    if (this.isOver) {
      return;
    }
    if (!this.hasHead) {
      this.writeHead(header, false);
    }
    this.writeEnd(trailer);
    this.endWhenTaken(undefined, this.#answer);
  }
}

/** The call of a stream that is open. */
export function callOfStream(stream: CallStream): RpcCall | undefined {
  return stream[callKey];
}

function takeChunk(this: CallStream, chunk: Buffer): void {
  callOfStream(this)?.takeChunk(chunk);
}

function takeEnd(this: CallStream): void {
  callOfStream(this)?.takeEnd();
}
