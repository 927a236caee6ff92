import type { DescMessage, DescMethodUnary, MessageShape } from "@bufbuild/protobuf";
import type { StreamResponse, UnaryResponse } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { Call } from "../rpc/call.ts";
import { isPreparedRefusal } from "../rpc/describe-error.ts";
import type { Handle } from "../rpc/interceptors.ts";
import { describeTo } from "../rpc/interceptors.ts";
import type { ServedMethod } from "../rpc/methods.ts";
import type { ErrorAnswer, ErrorForm } from "./connect-errors.ts";
import { encodeEnd, encodeError, readEndError } from "./connect-errors.ts";
import { answerConnect, answerGrpcWeb, readConnect, readGrpcWeb, toConnectHeaders } from "./connect-unary.ts";
import type { Exchange } from "./exchange.ts";
import { answerBytes, answerStream, chunksOf, toHeaders } from "./exchange.ts";
import { GrowingBuffer } from "./growing-buffer.ts";
import { ServedRequest, ServedResponse } from "./handler.ts";
import type { CallHost } from "./served-call.ts";
import { ServedCall } from "./served-call.ts";

/** The size of the flags and length before each message of a stream and of gRPC-Web. */
const ENVELOPE_BYTES = 5;
const LENGTH_AT = 1;
const COMPRESSED = 1;

/** The header with the client's time limit. */
export const TIMEOUT_HEADER: Readonly<Record<ErrorForm, string>> = {
  unary: "connect-timeout-ms",
  stream: "connect-timeout-ms",
  "grpc-web": "grpc-timeout",
};

/** A method served over Connect and gRPC-Web. */
export interface ConnectMethod {
  readonly served: ServedMethod;
  /** Serves unary calls. */
  readonly handle: Handle;
  /** Serves streams. */
  readonly handler: UniversalHandler;
  /** Whether the client sends exactly one message, which is read before the call begins. */
  readonly hasOneRequest: boolean;
  /** The accepted HTTP methods. */
  readonly httpMethods: readonly string[];
  readonly takesContentType: (contentType: string) => boolean;
  /** The accepted content types, to tell clients that send another one. */
  readonly contentTypes: string;
}

/** One call over Connect or gRPC-Web. */
export class ConnectCall extends ServedCall {
  readonly protocolName: string;
  readonly #method: ConnectMethod;
  readonly #form: ErrorForm;
  readonly #exchange: Exchange;
  /** The received part of the request. */
  readonly #received = new GrowingBuffer();
  /** What is wrong with the deadline in the request. */
  readonly #fault: ConnectError | undefined;

  constructor(
    call: Call,
    method: ConnectMethod,
    form: ErrorForm,
    exchange: Exchange,
    fault: ConnectError | undefined,
    host: CallHost,
  ) {
    super(call, exchange.headers, exchange.peer, host);
    this.protocolName = form === "grpc-web" ? "grpc-web" : "connect";
    this.#fault = fault;
    this.#method = method;
    this.#form = form;
    this.#exchange = exchange;
    exchange.onClose(() => this.close());
  }

  get url(): string {
    return `http://localhost${this.#exchange.path}${this.#exchange.query}`;
  }

  get httpMethod(): string {
    return this.#exchange.method;
  }

  get writtenBytes(): number {
    return this.#exchange.writtenBytes;
  }

  get pendingBytes(): number {
    return this.#exchange.pendingBytes;
  }

  protected get isOver(): boolean {
    return this.#exchange.isClosed || this.#exchange.response.writableEnded;
  }

  protected read(): void {
    if (!this.#method.hasOneRequest) {
      this.arrive();
      return;
    }
    const { request, headers } = this.#exchange;
    const maxBytes = this.#method.served.rule.maxRequestBytes + ENVELOPE_BYTES;
    if (this.#form === "unary" && Number(headers["content-length"] ?? 0) > maxBytes) {
      this.arrive();
      return;
    }
    request.on("data", (chunk: Buffer) => {
      if (this.hasArrived) {
        return;
      }
      this.#received.append(chunk);
      if (this.#received.byteLength > maxBytes || this.#claimedBytes() > maxBytes) {
        // The request is too large already. Connect reports that when it reads the received part.
        this.arrive();
      }
    });
    request.on("end", () => this.arrive());
  }

  /** The length of the message according to its envelope; 0 if there is none or it has not arrived. */
  #claimedBytes(): number {
    const { bytes } = this.#received;
    return this.#form !== "unary" && bytes.byteLength >= ENVELOPE_BYTES
      ? bytes.readUInt32BE(LENGTH_AT) + ENVELOPE_BYTES
      : 0;
  }

  protected run(): void | Promise<void> {
    if (this.#fault !== undefined) {
      throw this.#fault;
    }
    const { served, handle } = this.#method;
    if (served.spec.kind !== "unary") {
      return this.#serveStream();
    }
    const response = handle(new ServedRequest(this, served.spec.method, this.#parse(served.spec.method)));
    return response instanceof Promise
      ? response.then((ready) => this.#answerUnary(ready))
      : this.#answerUnary(response);
  }

  #parse({ input }: DescMethodUnary): MessageShape<DescMessage> {
    const read = this.#form === "grpc-web" ? readGrpcWeb : readConnect;
    return read(this.#exchange, this.#received.bytes, input, this.call.method.rule.maxRequestBytes);
  }

  #answerUnary(response: UnaryResponse | StreamResponse): void {
    if (response.stream) {
      throw new TypeError("an interceptor made a stream of a unary response");
    }
    if (this.isOver) {
      return;
    }
    const { maxResponseBytes, compressResponses } = this.call.method.rule;
    const isOwn = response instanceof ServedResponse;
    (this.#form === "grpc-web" ? answerGrpcWeb : answerConnect)(this.#exchange, {
      schema: response.method.output,
      message: response.message,
      header: isOwn ? this.ownHeader : response.header,
      trailer: isOwn ? this.ownTrailer : response.trailer,
      maxBytes: maxResponseBytes,
      mayCompress: compressResponses,
    });
    this.end(undefined);
  }

  async #serveStream(): Promise<void> {
    const { request, isHttp2 } = this.#exchange;
    const body = this.#method.hasOneRequest ? this.#body() : chunksOf(request);
    const answer = await this.#method.handler({
      httpVersion: isHttp2 ? "2.0" : "1.1",
      url: this.url,
      method: this.httpMethod,
      header: this.#streamHeader(),
      body,
      signal: this.call.signal,
      contextValues: this.values,
    });
    await this.#answerStream(answer, this.#form === "grpc-web" ? "grpc-web" : "stream");
  }

  /** The headers without the deadline, which the call itself enforces. */
  #streamHeader(): Headers {
    const header = toHeaders(this.#exchange.headers);
    header.delete(TIMEOUT_HEADER[this.#form]);
    return header;
  }

  protected answerError(error: ConnectError): void {
    const { response } = this.#exchange;
    if (!this.#exchange.hasAnswered) {
      const contentType = this.#exchange.headers["content-type"] ?? "application/json";
      const answer = isPreparedRefusal(error)
        ? encodePrepared(error, this.#form, contentType)
        : encodeError(error, this.#form, contentType);
      // Headers and trailers that the handler set before it failed are sent too.
      const set =
        this.#form === "grpc-web"
          ? Object.fromEntries([...(this.ownHeader ?? []), ...(this.ownTrailer ?? [])])
          : toConnectHeaders(this.ownHeader, this.ownTrailer);
      answerBytes(this.#exchange, answer.status, { ...set, ...answer.headers }, answer.body);
    } else if (this.#form === "unary") {
      this.#exchange.cut();
    } else {
      response.end(encodeEnd(this.#form, new Headers(), error));
      this.#exchange.discardRest();
    }
  }

  protected cutAnswer(): void {
    this.#exchange.cut();
  }

  override endLate(): void {
    this.#exchange.endConnection();
    super.endLate();
  }

  /** Corrects errors of Connect, which reports an unreadable request as a fault of the server. */
  protected override fail(error: unknown): void {
    super.fail(this.#isMalformed(error) ? malformed() : error);
  }

  async *#body(): AsyncGenerator<Uint8Array> {
    const body = this.#received.bytes;
    checkFlags(body);
    yield body;
  }

  async #answerStream({ status, header, body }: UniversalServerResponse, form: "stream" | "grpc-web"): Promise<void> {
    const headers = Object.fromEntries(header ?? []);
    await answerStream(this.#exchange, status, headers, this.#withMappedEnd(body ?? [], form));
    this.endWhenTaken(this.call.errorCode, this.#exchange.response);
  }

  /** Passes envelopes on, and maps an error that no interceptor has seen. */
  async *#withMappedEnd(
    body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    form: "stream" | "grpc-web",
  ): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      const end = this.call.errorCode === undefined ? readEndError(form, chunk) : undefined;
      yield end === undefined ? chunk : encodeEnd(form, end.trailer, this.#describe(end.error));
    }
  }

  #describe(error: unknown): ConnectError {
    return describeTo(this.call, this.#isMalformed(error) ? malformed() : error, this.host.logger);
  }

  #isMalformed(error: unknown): boolean {
    return !this.call.hasReachedHandler && error instanceof ConnectError && error.code === Code.Internal;
  }
}

function malformed(): ConnectError {
  return new ConnectError("the request could not be parsed", Code.InvalidArgument);
}

/** @throws ConnectError when an envelope has flags that are not valid in requests */
function checkFlags(body: Buffer): void {
  for (let at = 0; at + ENVELOPE_BYTES <= body.byteLength;) {
    const flags = body[at] ?? 0;
    if (flags > COMPRESSED) {
      throw new ConnectError(`the message has unknown flags: ${flags}`, Code.InvalidArgument);
    }
    at += ENVELOPE_BYTES + body.readUInt32BE(at + LENGTH_AT);
  }
}

const preparedAnswers = new WeakMap<ConnectError, Map<string, ErrorAnswer>>();

/** Encodes a prepared error once per form and content type. */
function encodePrepared(error: ConnectError, form: ErrorForm, contentType: string): ErrorAnswer {
  const known = preparedAnswers.get(error) ?? new Map<string, ErrorAnswer>();
  preparedAnswers.set(error, known);
  // Other content types that clients send are not kept in memory.
  const type =
    form === "unary"
      ? ""
      : (/^application\/[a-z-]+\+(proto|json)/.exec(contentType.toLowerCase())?.[0] ?? "application/grpc-web");
  const answer = known.get(form + type) ?? encodeError(error, form, type);
  known.set(form + type, answer);
  return answer;
}
