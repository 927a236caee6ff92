import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type {
  HandlerContext,
  Interceptor,
  MethodImplSpec,
  StreamRequest,
  StreamResponse,
  UnaryRequest,
  UnaryResponse,
} from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";

import { abortable } from "./abortable.ts";
import type { GrpcCall } from "./grpc-call.ts";

export type UnarySpec = Extract<MethodImplSpec, { kind: "unary" }>;
export type ServerStreamingSpec = Extract<MethodImplSpec, { kind: "server_streaming" }>;

type Message = MessageShape<DescMessage>;
type AnyFn = ReturnType<Interceptor>;

/** A unary answer; headers and trailers are absent when nobody has touched them. */
export interface Answer {
  readonly message: Message;
  readonly header: Headers | undefined;
  readonly trailer: Headers | undefined;
}

/**
 * Calls a unary handler through the interceptors, the first of them outermost. The handler is waited for no longer
 * than the call lasts, so that interceptors see the end of every call in time.
 */
export async function invokeUnary(
  spec: UnarySpec,
  interceptors: readonly Interceptor[],
  call: GrpcCall,
  message: Message,
): Promise<Answer> {
  const { method } = spec;
  let own: UnaryResponse | undefined;
  const handle: AnyFn = async (request) => {
    if (request.stream) {
      throw new ConnectError("an interceptor made a stream of a unary request", Code.Internal);
    }
    const result = spec.impl(request.message, handlerContext(call, request));
    const output = result instanceof Promise ? await call.unlessCutShort(result) : result;
    own = {
      stream: false,
      method,
      service: method.parent,
      message: create(method.output, output),
      get header() {
        return call.responseHeader;
      },
      get trailer() {
        return call.responseTrailer;
      },
    };
    return own;
  };
  const request: UnaryRequest = {
    stream: false,
    method,
    service: method.parent,
    message,
    requestMethod: "POST",
    get url() {
      return call.url;
    },
    get signal() {
      return call.signal;
    },
    get header() {
      return call.requestHeader;
    },
    get contextValues() {
      return call.values;
    },
  };
  const response = await wrap(handle, interceptors)(request);
  if (response.stream) {
    throw new ConnectError("an interceptor made a stream of a unary response", Code.Internal);
  }
  return response === own
    ? { message: response.message, header: call.responseHeaderIfAny, trailer: call.responseTrailerIfAny }
    : response;
}

/**
 * Calls a server-streaming handler through the interceptors, the first of them outermost. The stream fails as soon as
 * the call is cut short, whatever the handler does.
 */
export async function invokeServerStreaming(
  spec: ServerStreamingSpec,
  interceptors: readonly Interceptor[],
  call: GrpcCall,
  message: Message,
): Promise<StreamResponse> {
  const { method } = spec;
  const handle: AnyFn = async (request) => {
    if (!request.stream) {
      throw new ConnectError("an interceptor made a single message of a stream", Code.Internal);
    }
    const input = await only(request.message);
    const output = spec.impl(input, handlerContext(call, request));
    const response: StreamResponse = {
      stream: true,
      method,
      service: method.parent,
      message: abortable(output, call, (partial) => create(method.output, partial)),
      header: call.responseHeader,
      trailer: call.responseTrailer,
    };
    return response;
  };
  const request: StreamRequest = {
    stream: true,
    method,
    service: method.parent,
    message: once(message),
    requestMethod: "POST",
    url: call.url,
    signal: call.signal,
    header: call.requestHeader,
    contextValues: call.values,
  };
  const response = await wrap(handle, interceptors)(request);
  if (!response.stream) {
    throw new ConnectError("an interceptor made a single message of a stream", Code.Internal);
  }
  return response;
}

/** As under Connect, interceptors are applied anew for every call. */
function wrap(handle: AnyFn, interceptors: readonly Interceptor[]): AnyFn {
  let next = handle;
  for (let i = interceptors.length - 1; i >= 0; i--) {
    next = interceptors[i]?.(next) ?? next;
  }
  return next;
}

/** The handler's view of the call, with whatever interceptors have replaced in the request. */
function handlerContext(call: GrpcCall, request: UnaryRequest | StreamRequest): HandlerContext {
  return {
    method: request.method,
    service: request.service,
    requestMethod: request.requestMethod,
    protocolName: "grpc",
    timeoutMs: call.timeoutMs,
    get url() {
      return call.url;
    },
    get signal() {
      return request.signal;
    },
    get values() {
      return request.contextValues;
    },
    get requestHeader() {
      return request.header;
    },
    get responseHeader() {
      return call.responseHeader;
    },
    get responseTrailer() {
      return call.responseTrailer;
    },
  };
}

async function* once<T>(value: T): AsyncIterable<T> {
  yield value;
}

/** The only message of a request stream; interceptors may have replaced the stream. */
async function only<T>(messages: AsyncIterable<T>): Promise<T> {
  let found: { message: T } | undefined;
  for await (const message of messages) {
    if (found !== undefined) {
      throw new ConnectError("a server-streaming method takes one request message", Code.Unimplemented);
    }
    found = { message };
  }
  if (found === undefined) {
    throw new ConnectError("the request message is missing", Code.Unimplemented);
  }
  return found.message;
}
