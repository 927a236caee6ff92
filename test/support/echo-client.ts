import {
  type DescMethod,
  type MessageInitShape,
  type MessageShape,
  create,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import { type CallOptions, Client, credentials, Metadata, type ServiceError, type StatusObject } from "@grpc/grpc-js";

/** All that a grpc-js client gets to see of a call. */
interface Seen<Output> {
  messages: Output[];
  header: Metadata;
  /** The end: code, details and trailers. */
  status: StatusObject;
}

interface EchoCall extends CallOptions {
  readonly metadata?: Metadata;
  /** Sends these bytes instead of the request's. */
  readonly bytes?: Buffer;
}

/** A client of the real grpc-js. */
export class EchoClient implements Disposable {
  readonly client: Client;

  constructor(address: string, options: object = {}) {
    this.client = new Client(address, credentials.createInsecure(), options);
  }

  [Symbol.dispose](): void {
    this.client.close();
  }

  /** Calls a unary method and waits for its end, whatever it is. */
  async unary<M extends DescMethod>(
    method: M,
    request: MessageInitShape<M["input"]>,
    { metadata = new Metadata(), bytes, ...options }: EchoCall = {},
  ): Promise<Seen<MessageShape<M["output"]>>> {
    return await new Promise((resolve) => {
      const messages: MessageShape<M["output"]>[] = [];
      let header = new Metadata();
      const call = this.client.makeUnaryRequest(
        pathOf(method),
        (message: Buffer) => message,
        (message: Buffer): MessageShape<M["output"]> => decode(method, message),
        bytes ?? encode(method, request),
        metadata,
        options,
        (_error: ServiceError | null, message?: MessageShape<M["output"]>) => {
          if (message !== undefined) {
            messages.push(message);
          }
        },
      );
      call.on("metadata", (received) => (header = received));
      call.on("status", (status) => {
        setImmediate(() => {
          resolve({ messages, header, status });
        });
      });
    });
  }

  /** Calls a server-streaming method and reads it to its end, whatever it is. */
  async stream<M extends DescMethod>(
    method: M,
    request: MessageInitShape<M["input"]>,
    call: EchoCall = {},
  ): Promise<Seen<MessageShape<M["output"]>>> {
    const stream = this.open(method, request, call);
    const messages: MessageShape<M["output"]>[] = [];
    let header = new Metadata();
    stream.on("metadata", (received) => (header = received));
    stream.on("data", (message: MessageShape<M["output"]>) => messages.push(message));
    return await new Promise((resolve) => {
      stream.on("status", (status) => {
        resolve({ messages, header, status });
      });
    });
  }

  /** Opens a stream without reading it. */
  open<M extends DescMethod>(
    method: M,
    request: MessageInitShape<M["input"]>,
    { metadata = new Metadata(), bytes, ...options }: EchoCall = {},
  ) {
    const stream = this.client.makeServerStreamRequest(
      pathOf(method),
      (message: Buffer) => message,
      (message: Buffer): MessageShape<M["output"]> => decode(method, message),
      bytes ?? encode(method, request),
      metadata,
      options,
    );
    // Told by the status, too.
    stream.on("error", () => {});
    return stream;
  }
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function encode<M extends DescMethod>(method: M, request: MessageInitShape<M["input"]>): Buffer {
  return Buffer.from(toBinary(method.input, create(method.input, request)));
}

function decode<M extends DescMethod>(method: M, bytes: Buffer): MessageShape<M["output"]> {
  const schema: M["output"] = method.output;
  return fromBinary(schema, bytes);
}
