import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { ConnectRouterOptions, MethodImplSpec } from "@connectrpc/connect";
import { createConnectRouter } from "@connectrpc/connect";
import { compressionGzip } from "@connectrpc/connect-node";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import { Call } from "../rpc/call.ts";
import { compose, toConnectInterceptor } from "../rpc/interceptors.ts";
import type { ServedMethod } from "../rpc/methods.ts";
import type { ConnectMethod } from "./connect-call.ts";
import { ConnectCall, TIMEOUT_HEADER } from "./connect-call.ts";
import type { ErrorForm } from "./connect-errors.ts";
import type { Exchange } from "./exchange.ts";
import { answerText } from "./exchange.ts";
import { handlerOf } from "./handler.ts";
import type { CallHost } from "./served-call.ts";

/** Serves methods over Connect and gRPC-Web: unary calls directly, streams through Connect's own handlers. */
export class ConnectServer {
  readonly #host: CallHost;
  readonly #methods: ReadonlyMap<string, ConnectMethod>;

  constructor(methods: readonly ServedMethod[], host: CallHost) {
    this.#host = host;
    this.#methods = new Map(methods.map((served) => [`/${served.name}`, toConnectMethod(served, host)]));
  }

  /** Whether a path belongs to a method. */
  has(path: string): boolean {
    return this.#methods.has(path);
  }

  /** Answers a request to a method. */
  serve(exchange: Exchange): void {
    const method = this.#methods.get(exchange.path);
    if (method === undefined || !isAnswerable(exchange, method)) {
      return;
    }
    const form = formOf(exchange, method);
    const timeout = parseTimeout(form, exchange.headers[TIMEOUT_HEADER[form]]?.toString() ?? null);
    const call = new Call({
      method: method.served,
      protocol: form === "grpc-web" ? "grpc_web" : "connect",
      requestId: exchange.requestId,
      address: exchange.peer.address,
      authorization: exchange.headers.authorization,
      timeoutMs: timeout.timeoutMs,
      onEnd: this.#host.onCallEnd,
    });
    new ConnectCall(call, method, form, exchange, timeout.error, this.#host).start();
  }
}

function parseTimeout(form: ErrorForm, value: string | null): ReturnType<typeof parseConnectTimeout> {
  return form === "grpc-web" ? parseGrpcTimeout(value, Infinity) : parseConnectTimeout(value, Infinity);
}

const UNARY_TYPE = /^application\/(json(; ?charset=utf-?8)?|proto|grpc-web(\+(json(; ?charset=utf-?8)?|proto))?)$/i;

function toConnectMethod(served: ServedMethod, host: CallHost): ConnectMethod {
  const { spec, rule } = served;
  const handler = routeOf(spec, {
    grpc: false,
    interceptors: host.interceptors.map(toConnectInterceptor),
    acceptCompression: [compressionGzip],
    jsonOptions: { ignoreUnknownFields: false },
    readMaxBytes: rule.maxRequestBytes,
    writeMaxBytes: rule.maxResponseBytes,
    ...(rule.compressResponses ? {} : { compressMinBytes: rule.maxResponseBytes }),
  });
  const isUnary = spec.kind === "unary";
  const isSafe = spec.method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  const connectTypes = isUnary
    ? "application/json, application/proto"
    : "application/connect+json, application/connect+proto";
  return {
    served,
    handle: compose(handlerOf(spec), host.interceptors),
    handler,
    hasOneRequest: isUnary || spec.kind === "server_streaming",
    httpMethods: isUnary && isSafe ? ["POST", "GET"] : ["POST"],
    takesContentType: (type) => (isUnary ? UNARY_TYPE.test(type) : handler.supportedContentType(type)),
    contentTypes: `${connectTypes}, application/grpc-web+proto, application/grpc-web+json`,
  };
}

function routeOf(spec: MethodImplSpec, options: ConnectRouterOptions): UniversalHandler {
  const router = createConnectRouter(options);
  // The kinds differ only in their types, but Connect has one function per kind.
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

/** Returns whether a protocol can serve the request; otherwise answers what to do instead. */
function isAnswerable(exchange: Exchange, connectMethod: ConnectMethod): boolean {
  const { hasOneRequest, httpMethods, takesContentType, contentTypes } = connectMethod;
  const { method, headers } = exchange;
  if (!httpMethods.includes(method)) {
    const allow = httpMethods.join(", ");
    answerText(exchange, 405, `This is an RPC: use ${allow}.`, { allow });
    return false;
  }
  const contentType = headers["content-type"] ?? "";
  if (method !== "GET" && !takesContentType(contentType)) {
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

function formOf({ method, headers }: Exchange, { served }: ConnectMethod): ErrorForm {
  if (method !== "GET" && /^application\/grpc-web/i.test(headers["content-type"] ?? "")) {
    return "grpc-web";
  }
  return served.spec.kind === "unary" ? "unary" : "stream";
}
