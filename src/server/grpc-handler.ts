import type {
  DescMessage,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type {
  ContextValues,
  HandlerContext,
  MethodImplSpec,
  StreamRequest,
  UnaryRequest,
  UnaryResponse,
} from "@connectrpc/connect";
import { Code, ConnectError, createContextKey } from "@connectrpc/connect";
import type { Call } from "../rpc/call.ts";
import type { Handle } from "../rpc/interceptors.ts";

type Message = MessageShape<DescMessage>;
type StreamMethod = DescMethodServerStreaming | DescMethodClientStreaming | DescMethodBiDiStreaming;

/** What handlers and interceptors may ask of a call. Headers are made when somebody asks for them. */
export interface GrpcExchange {
  readonly call: Call;
  readonly values: ContextValues;
  readonly url: string;
  readonly requestHeader: Headers;
  readonly responseHeader: Headers;
  readonly responseTrailer: Headers;
}

export const grpcExchangeKey = createContextKey<GrpcExchange | undefined>(undefined, { description: "gRPC exchange" });

/**
 * A unary request as interceptors see it. Header and signal are made when somebody asks for them, which few calls do; so
 * an interceptor that changes a request must not copy it by spreading, which leaves them out.
 */
export class GrpcUnaryRequest implements UnaryRequest {
  readonly stream = false;
  readonly requestMethod = "POST";
  readonly method: DescMethodUnary;
  readonly message: Message;
  readonly #exchange: GrpcExchange;

  constructor(exchange: GrpcExchange, method: DescMethodUnary, message: Message) {
    this.#exchange = exchange;
    this.method = method;
    this.message = message;
  }

  get service(): DescService {
    return this.method.parent;
  }

  get url(): string {
    return this.#exchange.url;
  }

  get contextValues(): ContextValues {
    return this.#exchange.values;
  }

  get header(): Headers {
    return this.#exchange.requestHeader;
  }

  get signal(): AbortSignal {
    return this.#exchange.call.signal;
  }
}

/** A request of a method that streams, as interceptors see it. */
export function streamRequestOf(
  { url, values, call, requestHeader }: GrpcExchange,
  method: StreamMethod,
  message: AsyncIterable<Message>,
): StreamRequest {
  return {
    stream: true,
    service: method.parent,
    method,
    message,
    requestMethod: "POST",
    url,
    contextValues: values,
    header: requestHeader,
    signal: call.signal,
  };
}

/** A unary response as interceptors see it; as with the request, headers are made when somebody asks for them. */
export class GrpcUnaryResponse implements UnaryResponse {
  readonly stream = false;
  readonly method: DescMethodUnary;
  readonly message: Message;
  readonly #exchange: GrpcExchange;

  constructor(exchange: GrpcExchange, method: DescMethodUnary, message: Message) {
    this.#exchange = exchange;
    this.method = method;
    this.message = message;
  }

  get service(): DescService {
    return this.method.parent;
  }

  get header(): Headers {
    return this.#exchange.responseHeader;
  }

  get trailer(): Headers {
    return this.#exchange.responseTrailer;
  }
}

/** The handler's view of a call, with whatever interceptors have replaced in the request. */
class GrpcContext implements HandlerContext {
  readonly protocolName = "grpc";
  /** Handlers may take it out of the context. */
  readonly timeoutMs = (): number => this.#exchange.call.timeoutMs();
  readonly #exchange: GrpcExchange;
  readonly #request: UnaryRequest | StreamRequest;

  constructor(exchange: GrpcExchange, request: UnaryRequest | StreamRequest) {
    this.#exchange = exchange;
    this.#request = request;
  }

  get method(): HandlerContext["method"] {
    return this.#request.method;
  }

  get service(): DescService {
    return this.#request.service;
  }

  get requestMethod(): string {
    return this.#request.requestMethod;
  }

  get url(): string {
    return this.#request.url;
  }

  get values(): ContextValues {
    return this.#request.contextValues;
  }

  get signal(): AbortSignal {
    return this.#request.signal;
  }

  get requestHeader(): Headers {
    return this.#request.header;
  }

  get responseHeader(): Headers {
    return this.#exchange.responseHeader;
  }

  get responseTrailer(): Headers {
    return this.#exchange.responseTrailer;
  }
}

/** Calls a method's implementation, as the innermost part of what interceptors are composed around. */
export function handlerOf(spec: MethodImplSpec): Handle {
  const toMessage = (output: MessageInitShape<DescMessage>): Message => create(spec.method.output, output);
  if (spec.kind === "unary") {
    return async (request) => {
      const exchange = exchangeOf(request);
      const output = await spec.impl(messageOf(request), new GrpcContext(exchange, request));
      return new GrpcUnaryResponse(exchange, spec.method, toMessage(output));
    };
  }
  return async (request) => {
    const exchange = exchangeOf(request);
    const context = new GrpcContext(exchange, request);
    const messages = messagesOf(request);
    const basis = {
      stream: true as const,
      service: spec.method.parent,
      header: exchange.responseHeader,
      trailer: exchange.responseTrailer,
    };
    if (spec.kind === "server_streaming") {
      const output = spec.impl(await first(messages), context);
      return { ...basis, method: spec.method, message: mapped(output, toMessage) };
    }
    if (spec.kind === "client_streaming") {
      return { ...basis, method: spec.method, message: only(() => spec.impl(messages, context), toMessage) };
    }
    return { ...basis, method: spec.method, message: mapped(spec.impl(messages, context), toMessage) };
  };
}

function exchangeOf({ contextValues }: UnaryRequest | StreamRequest): GrpcExchange {
  const exchange = contextValues.get(grpcExchangeKey);
  if (exchange === undefined) {
    throw new TypeError("an interceptor replaced the context values of a call");
  }
  return exchange;
}

function messageOf(request: UnaryRequest | StreamRequest): Message {
  if (request.stream) {
    throw new TypeError("an interceptor made a stream of a unary request");
  }
  return request.message;
}

function messagesOf(request: UnaryRequest | StreamRequest): AsyncIterable<Message> {
  if (!request.stream) {
    throw new TypeError("an interceptor made a single message of a stream");
  }
  return request.message;
}

async function first(messages: AsyncIterable<Message>): Promise<Message> {
  for await (const message of messages) {
    return message;
  }
  throw new ConnectError("the request message is missing", Code.Unimplemented);
}

async function* mapped<T>(messages: AsyncIterable<T>, map: (message: T) => Message): AsyncGenerator<Message> {
  for await (const message of messages) {
    yield map(message);
  }
}

/** Calls the handler when somebody waits for it, so that no failure of it goes unheard. */
async function* only<T>(impl: () => Promise<T>, map: (message: T) => Message): AsyncGenerator<Message> {
  yield map(await impl());
}
