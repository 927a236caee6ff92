import { gzipSync } from "node:zlib";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import type { AnswerHeaders, Exchange } from "./exchange.ts";
import { answerBytes } from "./exchange.ts";
import type { WriteOptions } from "./grpc-messages.ts";
import { COMPRESS_MIN_BYTES, decodeMessage, encodeMessage, FrameReader, serialize } from "./grpc-messages.ts";

type Message = MessageShape<DescMessage>;

/** The message of an answer, with the headers and trailers that its handler has set. */
export interface UnaryAnswer {
  readonly schema: DescMessage;
  readonly message: Message;
  readonly header: Headers | undefined;
  readonly trailer: Headers | undefined;
  readonly maxBytes: number;
  /** Whether it may be compressed when the client accepts it. */
  readonly mayCompress: boolean;
}

const GZIP = /(^|,)\s*gzip\s*(,|$)/;
const OK = { "grpc-status": "0" };
const OK_ENVELOPE = encodeEnvelope(trailerFlag, trailerSerialize(new Headers(OK)));

/**
 * Reads the message of a unary Connect request.
 *
 * @param body the received part of the body; all of it, unless it is too large
 * @throws ConnectError when it is too large or cannot be read
 */
export function readConnect(exchange: Exchange, body: Buffer, schema: DescMessage, maxBytes: number): Message {
  const { method, headers, query } = exchange;
  if (method === "GET") {
    const parameters = new URLSearchParams(query);
    const format = parameters.get("encoding");
    if (format !== "json" && format !== "proto") {
      throw new ConnectError("the parameter encoding must be json or proto", Code.InvalidArgument);
    }
    const isCompressed = isGzip(parameters.get("compression") ?? undefined, "accept-encoding");
    const bytes = bytesOf(parameters.get("message") ?? "", parameters.get("base64") === "1");
    return decode(schema, bytes, { isCompressed, sentBytes: bytes.byteLength, maxBytes, isJson: format === "json" });
  }
  const isCompressed = isGzip(headers["content-encoding"], "accept-encoding");
  const sentBytes = Math.max(body.byteLength, Number(headers["content-length"] ?? 0));
  return decode(schema, body, { isCompressed, sentBytes, maxBytes, isJson: isJson(exchange) });
}

/** Answers a unary Connect call. */
export function answerConnect(exchange: Exchange, answer: UnaryAnswer): void {
  const { schema, message, header, trailer, maxBytes, mayCompress } = answer;
  const { headers: request } = exchange;
  const isOfJson = isJson(exchange);
  const body = serialize(schema, message, { maxBytes, isGzip: false, isJson: isOfJson });
  const headers: AnswerHeaders = {
    ...toConnectHeaders(header, trailer),
    "content-type": isOfJson ? "application/json" : "application/proto",
  };
  const accepted = request["accept-encoding"] ?? request["content-encoding"] ?? "";
  if (mayCompress && Buffer.byteLength(body) >= COMPRESS_MIN_BYTES && GZIP.test(accepted)) {
    answerBytes(exchange, 200, { ...headers, "content-encoding": "gzip" }, gzipSync(body));
  } else {
    answerBytes(exchange, 200, headers, body);
  }
}

/** The headers and trailers that a handler has set, as headers: trailers get a prefix. */
export function toConnectHeaders(header: Headers | undefined, trailer: Headers | undefined): AnswerHeaders {
  const headers: AnswerHeaders = Object.fromEntries(header ?? []);
  for (const [name, value] of trailer ?? []) {
    headers[`trailer-${name}`] = value;
  }
  return headers;
}

/**
 * Reads the message of a unary gRPC-Web request.
 *
 * @param body as in {@link readConnect}
 * @throws ConnectError when it is too large or cannot be read
 */
export function readGrpcWeb(exchange: Exchange, body: Buffer, schema: DescMessage, maxBytes: number): Message {
  const encoding = exchange.headers["grpc-encoding"]?.toString();
  const options = { maxBytes, isGzip: isGzip(encoding, "grpc-accept-encoding"), isJson: isJson(exchange) };
  const reader = new FrameReader(options);
  const [frame, ...others] = reader.read(body);
  if (reader.fault !== undefined) {
    throw reader.fault;
  }
  if (reader.isInside) {
    throw new ConnectError("the request ends in the middle of its message", Code.InvalidArgument);
  }
  if (frame === undefined || others.length > 0) {
    throw new ConnectError("the method takes one request message", Code.Unimplemented);
  }
  return decodeMessage(schema, frame, options);
}

/** Answers a unary gRPC-Web call. */
export function answerGrpcWeb(exchange: Exchange, answer: UnaryAnswer): void {
  const { schema, message, header, trailer, maxBytes, mayCompress } = answer;
  const { headers: request } = exchange;
  const accepted = request["grpc-accept-encoding"] ?? request["grpc-encoding"] ?? "";
  const options: WriteOptions = {
    maxBytes,
    isGzip: mayCompress && GZIP.test(accepted.toString()),
    isJson: isJson(exchange),
  };
  const envelope = encodeMessage(schema, message, options);
  const end =
    trailer === undefined
      ? OK_ENVELOPE
      : encodeEnvelope(trailerFlag, trailerSerialize(new Headers([...trailer, ...Object.entries(OK)])));
  const headers: AnswerHeaders = {
    ...Object.fromEntries(header ?? []),
    ...(options.isGzip ? { "grpc-encoding": "gzip" } : undefined),
    "content-type": options.isJson === true ? "application/grpc-web+json" : "application/grpc-web+proto",
  };
  answerBytes(exchange, 200, headers, Buffer.concat([envelope, end]));
}

function isJson({ method, headers, query }: Exchange): boolean {
  return method === "GET"
    ? new URLSearchParams(query).get("encoding") === "json"
    : /json/i.test(headers["content-type"] ?? "");
}

/** @throws ConnectError UNIMPLEMENTED for any other encoding; it names the supported ones */
function isGzip(encoding: string | undefined, acceptHeader: string): boolean {
  if (encoding !== undefined && encoding !== "identity" && encoding !== "gzip") {
    const message = `the encoding ${encoding} is not supported; use gzip or identity`;
    throw new ConnectError(message, Code.Unimplemented, { [acceptHeader]: "gzip" });
  }
  return encoding === "gzip";
}

/** The message of a GET request. */
function bytesOf(message: string, isBase64: boolean): Buffer {
  try {
    return isBase64 ? Buffer.from(base64Decode(message)) : Buffer.from(message);
  } catch {
    throw new ConnectError("the parameter message is not valid base64", Code.InvalidArgument);
  }
}

interface DecodeOptions {
  readonly isCompressed: boolean;
  readonly sentBytes: number;
  readonly maxBytes: number;
  readonly isJson: boolean;
}

function decode(schema: DescMessage, bytes: Buffer, options: DecodeOptions): Message {
  const { isCompressed, sentBytes, maxBytes, isJson: isOfJson } = options;
  if (sentBytes > maxBytes) {
    throw new ConnectError(`the request is larger than ${maxBytes} bytes`, Code.ResourceExhausted);
  }
  // An empty message stays empty, not compressed.
  const frame = { isCompressed: isCompressed && bytes.byteLength > 0, bytes };
  return decodeMessage(schema, frame, { maxBytes, isGzip: isCompressed, isJson: isOfJson });
}
