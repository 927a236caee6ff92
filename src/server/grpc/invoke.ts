import type { DescMessage, DescService, MessageShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type {
  ContextValues,
  HandlerContext,
  Interceptor,
  MethodImplSpec,
  StreamRequest,
  StreamResponse,
  UnaryRequest,
  UnaryResponse,
} from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";

import { abortable } from "../abortable.ts";
import type { GrpcCall } from "./call.ts";

export type UnarySpec = Extract<MethodImplSpec, { kind: "unary" }>;
export type ServerStreamingSpec = Extract<MethodImplSpec, { kind: "server_streaming" }>;

type Message = MessageShape<DescMessage>;
type AnyFn = ReturnType<Interceptor>;

/**
 * Calls a unary handler through the interceptors, the first of them outermost. The handler is waited for no longer
 * than the call lasts, so that interceptors see the end of every call in time.
 */
export async function invokeUnary(
  spec: UnarySpec,
  interceptors: readonly Interceptor[],
  call: GrpcCall,
  message: Message,
): Promise<UnaryResponse> {
  const { method } = spec;
  const handle: AnyFn = async (request) => {
    if (request.stream) {
      throw new ConnectError("an interceptor made a stream of a unary request", Code.Internal);
    }
    const result = spec.impl(request.message, handlerContext(call, request));
    const output = result instanceof Promise ? await call.unlessCutShort(result) : result;
    return { ...responseBasis(call, spec), stream: false, method, message: create(method.output, output) };
  };
  const response = await wrap(handle, interceptors)({ ...requestBasis(call, spec), stream: false, method, message });
  if (response.stream) {
    throw new ConnectError("an interceptor made a stream of a unary response", Code.Internal);
  }
  return response;
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
    const messages = spec.impl(await only(request.message), handlerContext(call, request));
    return {
      ...responseBasis(call, spec),
      stream: true,
      method,
      message: abortable(messages, call, (partial) => create(method.output, partial)),
    };
  };
  const request: StreamRequest = { ...requestBasis(call, spec), stream: true, method, message: once(message) };
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

interface RequestBasis {
  readonly service: DescService;
  readonly requestMethod: string;
  readonly url: string;
  readonly signal: AbortSignal;
  readonly header: Headers;
  readonly contextValues: ContextValues;
}

function requestBasis(call: GrpcCall, { method }: MethodImplSpec): RequestBasis {
  return {
    service: method.parent,
    requestMethod: "POST",
    url: call.url,
    signal: call.signal,
    header: call.requestHeader,
    contextValues: call.values,
  };
}

function responseBasis(
  call: GrpcCall,
  { method }: MethodImplSpec,
): { service: DescService; header: Headers; trailer: Headers } {
  return { service: method.parent, header: call.responseHeader, trailer: call.responseTrailer };
}

/** The handler's view of the call, with whatever interceptors have replaced in the request. */
function handlerContext(call: GrpcCall, request: UnaryRequest | StreamRequest): HandlerContext {
  return {
    method: request.method,
    service: request.service,
    requestMethod: request.requestMethod,
    protocolName: "grpc",
    timeoutMs: call.timeoutMs,
    url: call.url,
    signal: request.signal,
    values: request.contextValues,
    requestHeader: request.header,
    responseHeader: call.responseHeader,
    responseTrailer: call.responseTrailer,
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
