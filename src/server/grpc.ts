import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { parseTimeout } from "@connectrpc/connect/protocol-grpc";
import { REQUEST_ID_HEADER, requestIdOf } from "../rpc/call.ts";
import type { Peer } from "./exchange.ts";
import { GrpcCall } from "./grpc-call.ts";
import { CONTENT_TYPE, toTrailers } from "./grpc-headers.ts";
import type { RpcMethod } from "./handler.ts";
import { closeAfterAnswer } from "./http2-exchange.ts";
import type { CallHost } from "./served-call.ts";

const SUPPORTED_CONTENT_TYPE = /^application\/grpc(\+proto)?\s*(;|$)/i;
const ANY_CONTENT_TYPE = /^application\/grpc(?!-web)/i;

/** Whether the content type of a request is gRPC. gRPC-Web is not. */
export function isGrpc(headers: IncomingHttpHeaders): boolean {
  return ANY_CONTENT_TYPE.test(headers["content-type"] ?? "");
}

/** Serves methods over gRPC on HTTP/2 streams. */
export class GrpcServer {
  readonly #methods: ReadonlyMap<string, RpcMethod>;
  readonly #host: CallHost;

  /** @param methods by path */
  constructor(methods: ReadonlyMap<string, RpcMethod>, host: CallHost) {
    this.#methods = methods;
    this.#host = host;
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
    const { timeoutMs, error } = parseTimeout(headers["grpc-timeout"]?.toString() ?? null, Infinity);
    const fault = findFault(headers) ?? error;
    new GrpcCall({ method, stream, headers, peer, requestId, timeoutMs, fault }, this.#host).start();
  }
}

function unknownMethod(path: string): ConnectError {
  return new ConnectError(`${path} is not a method of this service`, Code.Unimplemented);
}

/** Returns an error when the headers of a request are not valid. */
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
