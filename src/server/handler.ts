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
 * The message of a unary call with its headers and signal. Headers and signal are created on first use, because few
 * calls need them. So an interceptor must not copy this object with the spread operator: the copy would lack them.
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
    return this.served.requestMethod;
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
    return this.served.signal;
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
  { url, requestMethod, values, signal, requestHeader }: ServedCall,
  method: StreamMethod,
  message: AsyncIterable<Message>,
): StreamRequest {
  return {
    stream: true,
    service: method.parent,
    method,
    message,
    requestMethod,
    url,
    contextValues: values,
    header: requestHeader,
    signal,
  };
}

/** A served method, ready to be called. */
export interface RpcMethod extends ServedMethod {
  readonly handle: Handle;
  /** Whether the client sends exactly one message, which is read before the call begins. */
  readonly hasOneRequest: boolean;
}

/** Wraps methods in interceptors. Returns the methods by their paths. */
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

/** Turns a method's implementation into the innermost handler, which the interceptors wrap. */
function handlerOf(spec: MethodImplSpec): Handle {
  if (spec.kind === "unary") {
    return (request) => {
      const served = servedCallOf(request);
      const output = spec.impl(messageOf(request), served);
      return output instanceof Promise
        ? respondLater(served, spec.method, output)
        : respond(served, spec.method, output);
    };
  }
  return (request) => {
    const served = servedCallOf(request);
    return {
      stream: true,
      service: spec.method.parent,
      method: spec.method,
      header: served.responseHeader,
      trailer: served.responseTrailer,
      message: answersOf(spec, messagesOf(request), served),
    };
  };
}

type Output = MessageInitShape<DescMessage>;

function respond(served: ServedCall, method: DescMethodUnary, output: Output): ServedResponse {
  return new ServedResponse(served, method, create(method.output, output));
}

function respondLater(served: ServedCall, method: DescMethodUnary, output: Promise<Output>): Promise<ServedResponse> {
  return output.then((ready) => respond(served, method, ready));
}

type StreamSpec = Exclude<MethodImplSpec, { kind: "unary" }>;

/** Calls the handler of a stream only when its first answer is awaited, so that a failure is always handled. */
async function* answersOf(
  spec: StreamSpec,
  messages: AsyncIterable<Message>,
  context: HandlerContext,
): AsyncGenerator<Message> {
  for await (const output of await outputsOf(spec, messages, context)) {
    yield create(spec.method.output, output);
  }
}

async function outputsOf(
  spec: StreamSpec,
  messages: AsyncIterable<Message>,
  context: HandlerContext,
): Promise<AsyncIterable<MessageInitShape<DescMessage>> | MessageInitShape<DescMessage>[]> {
  if (spec.kind === "server_streaming") {
    return spec.impl(await first(messages), context);
  }
  return spec.kind === "client_streaming" ? [await spec.impl(messages, context)] : spec.impl(messages, context);
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
