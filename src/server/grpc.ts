import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { parseTimeout } from "@connectrpc/connect/protocol-grpc";
import { Call, REQUEST_ID_HEADER, requestIdOf } from "../rpc/call.ts";
import { compose } from "../rpc/interceptors.ts";
import type { ServedMethod } from "../rpc/methods.ts";
import type { Peer } from "./exchange.ts";
import type { GrpcMethod } from "./grpc-call.ts";
import { GrpcCall } from "./grpc-call.ts";
import { CONTENT_TYPE, toTrailers } from "./grpc-headers.ts";
import { handlerOf } from "./handler.ts";
import { closeAfterAnswer } from "./http2-exchange.ts";
import type { CallHost } from "./served-call.ts";

const SUPPORTED_CONTENT_TYPE = /^application\/grpc(\+proto)?\s*(;|$)/i;
const ANY_CONTENT_TYPE = /^application\/grpc(?!-web)/i;

/** Whether a request is gRPC by its content type; gRPC-Web is not. */
export function isGrpc(headers: IncomingHttpHeaders): boolean {
  return ANY_CONTENT_TYPE.test(headers["content-type"] ?? "");
}

/** Serves methods over gRPC on HTTP/2 streams. */
export class GrpcServer {
  readonly #host: CallHost;
  readonly #methods: ReadonlyMap<string, GrpcMethod>;

  constructor(methods: readonly ServedMethod[], host: CallHost) {
    this.#host = host;
    this.#methods = new Map(methods.map((served) => [`/${served.name}`, toGrpcMethod(served, host)]));
  }

  /** @param stream has a listener for errors */
  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: Peer): void {
    const requestId = requestIdOf(headers[REQUEST_ID_HEADER]);
    const path = headers[":path"] ?? "";
    const method = this.#methods.get(path);
    if (headers[":method"] !== "POST" || method === undefined) {
      const answer =
        headers[":method"] === "POST"
          ? { ":status": 200, "content-type": CONTENT_TYPE, ...toTrailers(unknownMethod(path)) }
          : { ":status": 405, allow: "POST" };
      stream.respond({ ...answer, [REQUEST_ID_HEADER]: requestId }, { endStream: true });
      stream.resume();
      closeAfterAnswer(stream);
      return;
    }
    const timeout = parseTimeout(headers["grpc-timeout"]?.toString() ?? null, Infinity);
    const call = new Call({
      method: method.served,
      protocol: "grpc",
      requestId,
      address: peer.address,
      authorization: headers.authorization,
      timeoutMs: timeout.timeoutMs,
      onEnd: this.#host.onCallEnd,
    });
    const fault = findFault(headers) ?? timeout.error;
    new GrpcCall(call, method, stream, headers, fault, peer, this.#host).start();
  }
}

function unknownMethod(path: string): ConnectError {
  return new ConnectError(`${path} is not a method of this service`, Code.Unimplemented);
}

function toGrpcMethod(served: ServedMethod, { interceptors }: CallHost): GrpcMethod {
  const { kind } = served.spec;
  const { maxRequestBytes, maxResponseBytes, compressResponses } = served.rule;
  return {
    served,
    handle: compose(handlerOf(served.spec), interceptors),
    hasOneRequest: kind === "unary" || kind === "server_streaming",
    url: `http://localhost/${served.name}`,
    reading: {
      plain: { maxBytes: maxRequestBytes, isGzip: false },
      gzip: { maxBytes: maxRequestBytes, isGzip: true },
    },
    writing: {
      plain: { maxBytes: maxResponseBytes, isGzip: false },
      gzip: { maxBytes: maxResponseBytes, isGzip: compressResponses },
    },
  };
}

/** What is wrong with the headers of a request. */
function findFault(headers: IncomingHttpHeaders): ConnectError | undefined {
  const contentType = headers["content-type"] ?? "";
  if (!SUPPORTED_CONTENT_TYPE.test(contentType)) {
    return new ConnectError(`${contentType} is not supported; use ${CONTENT_TYPE}`, Code.Unimplemented);
  }
  const encoding = headers["grpc-encoding"]?.toString() ?? "identity";
  if (encoding !== "identity" && encoding !== "gzip") {
    return new ConnectError(`the encoding ${encoding} is not supported; use gzip or identity`, Code.Unimplemented);
  }
  return undefined;
}
