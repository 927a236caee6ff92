import type { ConnectRouterOptions, MethodImplSpec } from "@connectrpc/connect";
import { Code, ConnectError, createConnectRouter } from "@connectrpc/connect";
import { compressionGzip } from "@connectrpc/connect-node";
import type { UniversalHandler, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import { Call, contextValuesOf } from "../rpc/call.ts";
import { isPreparedRefusal } from "../rpc/error-table.ts";
import { describeTo } from "../rpc/interceptors.ts";
import type { ServedMethod } from "../rpc/methods.ts";
import type { CallHost } from "./call-host.ts";
import type { ErrorAnswer, ErrorForm } from "./connect-errors.ts";
import { encodeEnd, encodeError, readEndError, readUnaryError } from "./connect-errors.ts";
import type { Exchange } from "./exchange.ts";
import { answerBytes, answerStream, answerText, chunksOf, toHeaders } from "./exchange.ts";
import { GrowingBuffer } from "./growing-buffer.ts";
import { ServedCall } from "./served-call.ts";

/** Flags and length before each message of a stream, and of gRPC-Web. */
const ENVELOPE_BYTES = 5;
const LENGTH_AT = 1;
const COMPRESSED = 1;

interface ConnectMethod {
  readonly served: ServedMethod;
  readonly handler: UniversalHandler;
  /** Whether the client sends one message, which is read before the call begins. */
  readonly hasOneRequest: boolean;
  /** The HTTP methods that it takes. */
  readonly httpMethods: readonly string[];
  /** The content types that it takes, for clients that send another one. */
  readonly contentTypes: string;
}

/** Serves methods over Connect and gRPC-Web, by Connect's own handlers. */
export class ConnectServer {
  readonly #host: CallHost;
  readonly #methods: ReadonlyMap<string, ConnectMethod>;

  constructor(methods: readonly ServedMethod[], host: CallHost) {
    this.#host = host;
    this.#methods = new Map(methods.map((served) => [`/${served.name}`, toConnectMethod(served, host)]));
  }

  /** Whether a path is that of a method. */
  has(path: string): boolean {
    return this.#methods.has(path);
  }

  /** Answers a request whose path is that of a method. */
  serve(exchange: Exchange): void {
    const method = this.#methods.get(exchange.path);
    if (method === undefined || !isAnswerable(exchange, method)) {
      return;
    }
    const form = formOf(exchange, method);
    const { timeoutMs } = parseTimeout(form, exchange.headers[TIMEOUT_HEADER[form]]?.toString() ?? null);
    const call = new Call({
      method: method.served,
      protocol: form === "grpc-web" ? "grpc_web" : "connect",
      requestId: exchange.requestId,
      address: exchange.peer.address,
      authorization: exchange.headers.authorization,
      timeoutMs,
      onEnd: this.#host.onCallEnd,
    });
    new ConnectCall(call, method, form, exchange, this.#host).start();
  }
}

const TIMEOUT_HEADER: Readonly<Record<ErrorForm, string>> = {
  unary: "connect-timeout-ms",
  stream: "connect-timeout-ms",
  "grpc-web": "grpc-timeout",
};

function parseTimeout(form: ErrorForm, value: string | null): { timeoutMs?: number | undefined } {
  const { timeoutMs } = form === "grpc-web" ? parseGrpcTimeout(value, Infinity) : parseConnectTimeout(value, Infinity);
  return { timeoutMs };
}

function toConnectMethod(served: ServedMethod, host: CallHost): ConnectMethod {
  const { spec, rule } = served;
  const handler = routeOf(spec, {
    grpc: false,
    interceptors: [...host.interceptors],
    acceptCompression: [compressionGzip],
    jsonOptions: { ignoreUnknownFields: false },
    readMaxBytes: rule.maxRequestBytes,
    writeMaxBytes: rule.maxResponseBytes,
    ...(rule.compressResponses ? {} : { compressMinBytes: rule.maxResponseBytes }),
  });
  const connectTypes =
    spec.kind === "unary"
      ? "application/json, application/proto"
      : "application/connect+json, application/connect+proto";
  return {
    served,
    handler,
    hasOneRequest: spec.kind === "unary" || spec.kind === "server_streaming",
    // Connect names GET for streams without side effects, too, but does not serve it.
    httpMethods: spec.kind === "unary" ? handler.allowedMethods : ["POST"],
    contentTypes: `${connectTypes}, application/grpc-web+proto, application/grpc-web+json`,
  };
}

function routeOf(spec: MethodImplSpec, options: ConnectRouterOptions): UniversalHandler {
  const router = createConnectRouter(options);
  // The kinds differ in their types only; Connect asks for one of them at a time.
  switch (spec.kind) {
    case "unary":
      router.rpc(spec.method, spec.impl);
      break;
    case "server_streaming":
      router.rpc(spec.method, spec.impl);
      break;
    case "client_streaming":
      router.rpc(spec.method, spec.impl);
      break;
    case "bidi_streaming":
      router.rpc(spec.method, spec.impl);
      break;
  }
  const [handler] = router.handlers;
  if (handler === undefined) {
    throw new TypeError(`${spec.method.name} has no handler`);
  }
  return handler;
}

/** Answers requests that no protocol can serve, and says what to do; gives whether this is another one. */
function isAnswerable(exchange: Exchange, connectMethod: ConnectMethod): boolean {
  const { handler, hasOneRequest, httpMethods, contentTypes } = connectMethod;
  const { method, headers } = exchange;
  if (!httpMethods.includes(method)) {
    const allow = httpMethods.join(", ");
    answerText(exchange, 405, `This is an RPC: use ${allow}.`, { allow });
    return false;
  }
  const contentType = headers["content-type"] ?? "";
  if (method !== "GET" && !handler.supportedContentType(contentType)) {
    answerText(
      exchange,
      415,
      /^application\/grpc(?!-web)/i.test(contentType)
        ? "gRPC needs HTTP/2. Over HTTP/1.1 use Connect or gRPC-Web."
        : `This content type is not supported. Use one of ${contentTypes}.`,
      { "accept-post": contentTypes },
    );
    return false;
  }
  if (!hasOneRequest && !exchange.isHttp2) {
    answerText(exchange, 505, "A method whose client streams needs HTTP/2.");
    return false;
  }
  return true;
}

function formOf({ method, headers }: Exchange, { served }: ConnectMethod): ErrorForm {
  if (method !== "GET" && /^application\/grpc-web/i.test(headers["content-type"] ?? "")) {
    return "grpc-web";
  }
  return served.spec.kind === "unary" ? "unary" : "stream";
}

/** One call over Connect or gRPC-Web. */
class ConnectCall extends ServedCall {
  readonly #method: ConnectMethod;
  readonly #form: ErrorForm;
  readonly #exchange: Exchange;
  /** What is here of the request. */
  readonly #received = new GrowingBuffer();

  constructor(call: Call, method: ConnectMethod, form: ErrorForm, exchange: Exchange, host: CallHost) {
    super(call, exchange.peer.line, host);
    this.#method = method;
    this.#form = form;
    this.#exchange = exchange;
    exchange.onClose(() => this.close());
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
        // More than any request has: Connect says so when it sees what is here.
        this.arrive();
      }
    });
    request.on("end", () => this.arrive());
  }

  /** The length of the message, as its envelope gives it; 0 when there is none, or not yet. */
  #claimedBytes(): number {
    const { bytes } = this.#received;
    return this.#form !== "unary" && bytes.byteLength >= ENVELOPE_BYTES
      ? bytes.readUInt32BE(LENGTH_AT) + ENVELOPE_BYTES
      : 0;
  }

  protected async run(): Promise<void> {
    const { request, isHttp2, method, path, query } = this.#exchange;
    const body = this.#method.hasOneRequest ? this.#body() : chunksOf(request);
    const answer = await this.#method.handler({
      httpVersion: isHttp2 ? "2.0" : "1.1",
      url: `http://localhost${path}${query}`,
      method,
      header: this.#requestHeader(),
      body,
      signal: this.call.signal,
      contextValues: contextValuesOf(this.call),
    });
    if (this.#form === "unary") {
      await this.#answerUnary(answer);
    } else {
      await this.#answerStream(answer, this.#form);
    }
  }

  #requestHeader(): Headers {
    const header = toHeaders(this.#exchange.headers);
    const name = TIMEOUT_HEADER[this.#form];
    if (parseTimeout(this.#form, header.get(name)).timeoutMs !== undefined) {
      // The call sees to its deadline. A malformed one is left to Connect, which refuses it.
      header.delete(name);
    }
    return header;
  }

  protected answerError(error: ConnectError): void {
    const { response } = this.#exchange;
    if (!this.#exchange.hasAnswered) {
      const contentType = this.#exchange.headers["content-type"] ?? "application/json";
      const answer = isPreparedRefusal(error)
        ? encodePrepared(error, this.#form, contentType)
        : encodeError(error, this.#form, contentType);
      answerBytes(this.#exchange, answer.status, answer.headers, answer.body);
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

  /** Connect takes a request that it cannot read for a fault of the server's. */
  protected override fail(error: unknown): void {
    super.fail(this.#isMalformed(error) ? malformed() : error);
  }

  async *#body(): AsyncGenerator<Uint8Array> {
    const body = this.#received.bytes;
    if (this.#form !== "unary") {
      checkFlags(body);
    }
    yield body;
  }

  async #answerUnary({ status, header, body }: UniversalServerResponse): Promise<void> {
    const bytes = await first(body);
    if (status !== 200 && this.call.errorCode === undefined) {
      // Connect could not read the request, so that no interceptor has seen it.
      throw readUnaryError(bytes, header?.has("content-encoding") ?? false);
    }
    answerBytes(this.#exchange, status, Object.fromEntries(header ?? []), bytes);
    this.end(this.call.errorCode);
  }

  async #answerStream({ status, header, body }: UniversalServerResponse, form: "stream" | "grpc-web"): Promise<void> {
    const headers = Object.fromEntries(header ?? []);
    await answerStream(this.#exchange, status, headers, this.#withMappedEnd(body ?? [], form));
    this.end(this.call.errorCode);
  }

  /** The same envelopes; an error that no interceptor has seen is mapped. */
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

/** @throws ConnectError when an envelope has flags that requests do not have */
function checkFlags(body: Buffer): void {
  for (let at = 0; at + ENVELOPE_BYTES <= body.byteLength;) {
    const flags = body[at] ?? 0;
    if (flags > COMPRESSED) {
      throw new ConnectError(`the message has unknown flags: ${flags}`, Code.InvalidArgument);
    }
    at += ENVELOPE_BYTES + body.readUInt32BE(at + LENGTH_AT);
  }
}

async function first(body: AsyncIterable<Uint8Array> | undefined): Promise<Uint8Array> {
  for await (const chunk of body ?? []) {
    return chunk;
  }
  return new Uint8Array();
}

const preparedAnswers = new WeakMap<ConnectError, Map<string, ErrorAnswer>>();

/** The same answer for the same error, form and content type. */
function encodePrepared(error: ConnectError, form: ErrorForm, contentType: string): ErrorAnswer {
  const known = preparedAnswers.get(error) ?? new Map<string, ErrorAnswer>();
  preparedAnswers.set(error, known);
  // Whatever else clients send stays out of memory.
  const type =
    form === "unary"
      ? ""
      : (/^application\/[a-z-]+\+(proto|json)/.exec(contentType.toLowerCase())?.[0] ?? "application/grpc-web");
  const answer = known.get(form + type) ?? encodeError(error, form, type);
  known.set(form + type, answer);
  return answer;
}
