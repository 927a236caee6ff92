import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { ConnectCall } from "./connect-call.ts";
import type { Form } from "./connect-errors.ts";
import type { Exchange } from "./exchange.ts";
import { answerText } from "./exchange.ts";
import type { RpcMethod } from "./handler.ts";
import type { CallHost } from "./served-call.ts";

/** Serves methods over Connect and gRPC-Web. */
export class ConnectServer {
  readonly #methods: ReadonlyMap<string, RpcMethod>;
  readonly #host: CallHost;

  /** @param methods by path */
  constructor(methods: ReadonlyMap<string, RpcMethod>, host: CallHost) {
    this.#methods = methods;
    this.#host = host;
  }

  /** Whether a path belongs to a method. */
  has(path: string): boolean {
    return this.#methods.has(path);
  }

  /** Answers a request to a method. */
  serve(exchange: Exchange): void {
    const method = this.#methods.get(exchange.path);
    if (method !== undefined && isAnswerable(exchange, method)) {
      new ConnectCall(exchange, method, formOf(exchange, method), this.#host).start();
    }
  }
}

const UNARY_TYPE = /^application\/(json(; ?charset=utf-?8)?|proto|grpc-web(\+(json(; ?charset=utf-?8)?|proto))?)$/i;
const STREAM_TYPE =
  /^application\/(connect\+(json(; ?charset=utf-?8)?|proto)|grpc-web(\+(json(; ?charset=utf-?8)?|proto))?)$/i;

/** Returns whether the request can be served. If not, answers with an error that says what to do instead. */
function isAnswerable(exchange: Exchange, { spec, hasOneRequest }: RpcMethod): boolean {
  const { method, headers } = exchange;
  const isUnary = spec.kind === "unary";
  const isSafe = spec.method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  const httpMethods = isUnary && isSafe ? ["POST", "GET"] : ["POST"];
  if (!httpMethods.includes(method)) {
    answerText(exchange, 405, `This is an RPC: use ${httpMethods.join(", ")}.`, { allow: httpMethods.join(", ") });
    return false;
  }
  const contentType = headers["content-type"] ?? "";
  if (method !== "GET" && !(isUnary ? UNARY_TYPE : STREAM_TYPE).test(contentType)) {
    const connectTypes = isUnary
      ? "application/json, application/proto"
      : "application/connect+json, application/connect+proto";
    const contentTypes = `${connectTypes}, application/grpc-web+proto, application/grpc-web+json`;
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
    answerText(exchange, 505, "Client-streaming methods need HTTP/2.");
    return false;
  }
  return true;
}

function formOf({ method, headers }: Exchange, { spec }: RpcMethod): Form {
  if (method !== "GET" && /^application\/grpc-web/i.test(headers["content-type"] ?? "")) {
    return "grpc-web";
  }
  return spec.kind === "unary" ? "unary" : "stream";
}
