import { gzipSync } from "node:zlib";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import type { Form } from "./connect-errors.ts";
import { encodeEnd, encodeError } from "./connect-errors.ts";
import type { AnswerHeaders, Exchange } from "./exchange.ts";
import { answerBytes } from "./exchange.ts";
import type { RpcMethod } from "./handler.ts";
import { BodyReader, COMPRESS_MIN_BYTES, FrameReader, serialize, tooLongBody } from "./messages.ts";
import { RpcCall } from "./rpc-call.ts";
import type { CallHost } from "./served-call.ts";

/** The headers in which the forms differ. */
interface FormHeaders {
  readonly timeout: string;
  /** The encoding of messages. */
  readonly encoding: string;
  readonly acceptedEncodings: string;
  /** The beginning of the content type. */
  readonly contentType: string;
}

const HEADERS: Readonly<Record<Form, FormHeaders>> = {
  unary: {
    timeout: "connect-timeout-ms",
    encoding: "content-encoding",
    acceptedEncodings: "accept-encoding",
    contentType: "application/",
  },
  stream: {
    timeout: "connect-timeout-ms",
    encoding: "connect-content-encoding",
    acceptedEncodings: "connect-accept-encoding",
    contentType: "application/connect+",
  },
  "grpc-web": {
    timeout: "grpc-timeout",
    encoding: "grpc-encoding",
    acceptedEncodings: "grpc-accept-encoding",
    contentType: "application/grpc-web+",
  },
};

const GZIP = /(^|,)\s*gzip\s*(,|$)/;
const OK_OF_GRPC_WEB = encodeEnd("grpc-web", new Headers());

/** One call over Connect or gRPC-Web. */
export class ConnectCall extends RpcCall {
  readonly protocolName: string;
  readonly #form: Form;
  readonly #exchange: Exchange;
  /** The content type of an answer without an error. */
  readonly #contentType: string;

  constructor(exchange: Exchange, method: RpcMethod, form: Form, host: CallHost) {
    const { headers, peer, requestId, request, response: answer } = exchange;
    const { maxRequestBytes, maxResponseBytes, compressResponses } = method.rule;
    const names = HEADERS[form];
    const query = exchange.method === "GET" ? new URLSearchParams(exchange.query) : undefined;
    const format = query === undefined ? headers["content-type"] : query.get("encoding");
    const isJson = /json/i.test(format ?? "");
    const encoding = query === undefined ? headers[names.encoding]?.toString() : query.get("compression");
    const reading = { maxBytes: maxRequestBytes, isGzip: encoding === "gzip", isJson };
    const accepted = headers[names.acceptedEncodings] ?? headers[names.encoding] ?? "";
    const reader = form === "unary" ? new BodyReader(reading) : new FrameReader(reading);
    const timeout = parseTimeout(form, headers[names.timeout]?.toString() ?? null);
    const isTooLong = form === "unary" && Number(headers["content-length"] ?? 0) > maxRequestBytes;
    super({
      host,
      method,
      protocol: form === "grpc-web" ? "grpc_web" : "connect",
      requestId,
      headers,
      peer,
      timeoutMs: timeout.timeoutMs,
      request,
      answer,
      reader,
      reading,
      writing: {
        maxBytes: maxResponseBytes,
        isGzip: compressResponses && GZIP.test(accepted.toString()),
        isJson,
      },
      fault:
        timeout.error ??
        findEncodingFault(encoding, names.acceptedEncodings) ??
        (isTooLong ? tooLongBody(maxRequestBytes) : undefined) ??
        (query === undefined ? undefined : readQuery(query, reader)),
    });
    this.protocolName = form === "grpc-web" ? "grpc-web" : "connect";
    this.#form = form;
    this.#exchange = exchange;
    this.#contentType = names.contentType + (isJson ? "json" : "proto");
    exchange.onClose(() => this.close());
  }

  get requestMethod(): string {
    return this.#exchange.method;
  }

  get writtenBytes(): number {
    return this.#exchange.writtenBytes;
  }

  get pendingBytes(): number {
    return this.#exchange.pendingBytes;
  }

  get isOver(): boolean {
    return this.#exchange.isClosed || this.#exchange.response.writableEnded;
  }

  protected get hasHead(): boolean {
    return this.#exchange.hasAnswered;
  }

  protected override sendUnary(
    schema: DescMessage,
    message: MessageShape<DescMessage>,
    header: Headers | undefined,
    trailer: Headers | undefined,
  ): void {
    if (this.#form !== "unary") {
      super.sendUnary(schema, message, header, trailer);
      return;
    }
    const body = serialize(schema, message, this.writing);
    const headers = { ...toUnaryHeaders(header, trailer), "content-type": this.#contentType };
    if (this.writing.isGzip && Buffer.byteLength(body) >= COMPRESS_MIN_BYTES) {
      answerBytes(this.#exchange, 200, { ...headers, "content-encoding": "gzip" }, gzipSync(body));
    } else {
      answerBytes(this.#exchange, 200, headers, body);
    }
  }

  protected writeHead(header: Headers | undefined, isGzip: boolean): void {
    this.#exchange.writeHead(200, {
      ...Object.fromEntries(header ?? []),
      ...(isGzip ? { [HEADERS[this.#form].encoding]: "gzip" } : undefined),
      "content-type": this.#contentType,
    });
  }

  protected write(frame: Uint8Array): boolean {
    this.#exchange.writtenBytes += frame.byteLength;
    return this.#exchange.response.write(frame);
  }

  protected writeEnd(trailer: Headers | undefined, frame?: Buffer): void {
    const end = this.#form === "grpc-web" && trailer === undefined ? OK_OF_GRPC_WEB : this.#encodeEnd(trailer);
    this.#end(frame === undefined ? end : Buffer.concat([frame, end]));
  }

  protected answerError(error: ConnectError): void {
    if (this.hasHead) {
      this.#end(this.#encodeEnd(this.ownTrailer, error));
      return;
    }
    const { status, headers, body } = encodeError(error, this.#form, this.#contentType);
    // Headers and trailers that the handler set before it failed are sent too.
    const set =
      this.#form === "grpc-web"
        ? Object.fromEntries([...(this.ownHeader ?? []), ...(this.ownTrailer ?? [])])
        : toUnaryHeaders(this.ownHeader, this.ownTrailer);
    answerBytes(this.#exchange, status, { ...set, ...headers }, body);
  }

  protected cutAnswer(): void {
    this.#exchange.cut();
  }

  override endLate(): void {
    this.#exchange.endConnection();
    super.endLate();
  }

  #encodeEnd(trailer = new Headers(), error?: ConnectError): Uint8Array {
    return encodeEnd(this.#form === "grpc-web" ? "grpc-web" : "stream", trailer, error);
  }

  #end(bytes: Uint8Array): void {
    this.#exchange.writtenBytes += bytes.byteLength;
    this.#exchange.response.end(bytes);
    this.#exchange.discardRest();
  }
}

function parseTimeout(form: Form, value: string | null): ReturnType<typeof parseConnectTimeout> {
  return form === "grpc-web" ? parseGrpcTimeout(value, Infinity) : parseConnectTimeout(value, Infinity);
}

function findEncodingFault(encoding: string | null | undefined, acceptHeader: string): ConnectError | undefined {
  if (["gzip", "identity"].includes(encoding ?? "identity")) {
    return undefined;
  }
  const message = `the encoding ${encoding} is not supported; use gzip or identity`;
  return new ConnectError(message, Code.Unimplemented, { [acceptHeader]: "gzip" });
}

/** Reads the message of a GET request. Returns an error when the parameters are not valid. */
function readQuery(query: URLSearchParams, reader: BodyReader | FrameReader): ConnectError | undefined {
  const format = query.get("encoding");
  if (format !== "json" && format !== "proto") {
    return new ConnectError("the parameter encoding must be json or proto", Code.InvalidArgument);
  }
  const message = query.get("message") ?? "";
  try {
    reader.read(query.get("base64") === "1" ? Buffer.from(base64Decode(message)) : Buffer.from(message));
  } catch {
    return new ConnectError("the parameter message is not valid base64", Code.InvalidArgument);
  }
  return reader.fault;
}

/** The headers and trailers that a handler has set, all as headers. Names of trailers get a prefix. */
function toUnaryHeaders(header: Headers | undefined, trailer: Headers | undefined): AnswerHeaders {
  const headers: AnswerHeaders = Object.fromEntries(header ?? []);
  for (const [name, value] of trailer ?? []) {
    headers[`trailer-${name}`] = value;
  }
  return headers;
}
