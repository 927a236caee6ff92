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
import { Code, ConnectError } from "@connectrpc/connect";
import type { CallInterceptor, Handle } from "../rpc/interceptors.ts";
import { compose } from "../rpc/interceptors.ts";
import type { ServedMethod } from "../rpc/methods.ts";
import type { ServedCall } from "./served-call.ts";
import { servedCallKey } from "./served-call.ts";

type Message = MessageShape<DescMessage>;
type StreamMethod = DescMethodServerStreaming | DescMethodClientStreaming | DescMethodBiDiStreaming;

/**
 * The message of a unary call with its headers and signal. These are created on first use, because few calls need them.
 * An interceptor must therefore not copy this object by spreading, which would leave them out.
 */
abstract class UnaryPart {
  readonly stream = false;
  readonly method: DescMethodUnary;
  readonly message: Message;
  protected readonly served: ServedCall;

  constructor(served: ServedCall, method: DescMethodUnary, message: Message) {
    this.served = served;
    this.method = method;
    this.message = message;
  }

  get service(): DescService {
    return this.method.parent;
  }
}

/** A unary request as interceptors see it. */
export class ServedRequest extends UnaryPart implements UnaryRequest {
  get requestMethod(): string {
    return this.served.httpMethod;
  }

  get url(): string {
    return this.served.url;
  }

  get contextValues(): ContextValues {
    return this.served.values;
  }

  get header(): Headers {
    return this.served.requestHeader;
  }

  get signal(): AbortSignal {
    return this.served.call.signal;
  }
}

/** The handler's response to a unary request, as interceptors see it. */
export class ServedResponse extends UnaryPart implements UnaryResponse {
  get header(): Headers {
    return this.served.responseHeader;
  }

  get trailer(): Headers {
    return this.served.responseTrailer;
  }
}

/** A request of a method that streams, as interceptors see it. */
export function streamRequestOf(
  { url, httpMethod, values, call, requestHeader }: ServedCall,
  method: StreamMethod,
  message: AsyncIterable<Message>,
): StreamRequest {
  return {
    stream: true,
    service: method.parent,
    method,
    message,
    requestMethod: httpMethod,
    url,
    contextValues: values,
    header: requestHeader,
    signal: call.signal,
  };
}

/** The handler's view of a call, including changes that interceptors have made to the request. */
class ServedContext implements HandlerContext {
  readonly #served: ServedCall;
  readonly #request: UnaryRequest | StreamRequest;

  constructor(served: ServedCall, request: UnaryRequest | StreamRequest) {
    this.#served = served;
    this.#request = request;
  }

  /** Handlers may detach it from the context. */
  get timeoutMs(): () => number {
    return () => this.#served.call.timeoutMs();
  }

  get protocolName(): string {
    return this.#served.protocolName;
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
    return this.#served.responseHeader;
  }

  get responseTrailer(): Headers {
    return this.#served.responseTrailer;
  }
}

/** A served method, ready to be called. */
export interface RpcMethod extends ServedMethod {
  readonly handle: Handle;
  /** Whether the client sends exactly one message, which is read before the call begins. */
  readonly hasOneRequest: boolean;
}

/** Composes interceptors around methods. Returns the methods by their paths. */
export function toRpcMethods(
  methods: readonly ServedMethod[],
  interceptors: readonly CallInterceptor[],
): ReadonlyMap<string, RpcMethod> {
  return new Map(
    methods.map((served) => {
      const { kind } = served.spec;
      const handle = compose(handlerOf(served.spec), interceptors);
      return [`/${served.name}`, { ...served, handle, hasOneRequest: kind === "unary" || kind === "server_streaming" }];
    }),
  );
}

/** Wraps a method's implementation as the innermost handler, around which the interceptors are composed. */
function handlerOf(spec: MethodImplSpec): Handle {
  const toMessage = (output: MessageInitShape<DescMessage>): Message => create(spec.method.output, output);
  if (spec.kind === "unary") {
    return (request) => {
      const served = servedCallOf(request);
      const respond = (output: MessageInitShape<DescMessage>): ServedResponse =>
        new ServedResponse(served, spec.method, toMessage(output));
      const output = spec.impl(messageOf(request), new ServedContext(served, request));
      return output instanceof Promise ? output.then(respond) : respond(output);
    };
  }
  return async (request) => {
    const served = servedCallOf(request);
    const context = new ServedContext(served, request);
    const messages = messagesOf(request);
    const basis = {
      stream: true as const,
      service: spec.method.parent,
      header: served.responseHeader,
      trailer: served.responseTrailer,
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

function servedCallOf({ contextValues }: UnaryRequest | StreamRequest): ServedCall {
  const served = contextValues.get(servedCallKey);
  if (served === undefined) {
    throw new TypeError("an interceptor replaced the context values of a call");
  }
  return served;
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

/** Calls the handler only when the result is awaited, so that its failure is never an unhandled rejection. */
async function* only<T>(impl: () => Promise<T>, map: (message: T) => Message): AsyncGenerator<Message> {
  yield map(await impl());
}
