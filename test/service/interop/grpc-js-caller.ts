import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { CallOptions, ClientDuplexStream, ClientReadableStream, ClientWritableStream } from "@grpc/grpc-js";
import { Client, compressionAlgorithms, credentials, Metadata } from "@grpc/grpc-js";

type Method<I extends DescMessage, O extends DescMessage> = DescMethod & { readonly input: I; readonly output: O };

/** The answer to a call with one answer. */
export interface Answer<O extends DescMessage> {
  readonly message: MessageShape<O>;
  readonly header: Metadata;
  readonly trailer: Metadata;
}

/** grpc-js with the messages of protobuf-es. */
export class GrpcJsCaller implements Disposable {
  readonly #client: Client;

  constructor(address: string, { compresses = false } = {}) {
    const algorithm = compresses ? compressionAlgorithms.gzip : compressionAlgorithms.identity;
    this.#client = new Client(address, credentials.createInsecure(), {
      "grpc.default_compression_algorithm": algorithm,
      // Clients that compress and clients that do not have separate connections.
      "grpc.use_local_subchannel_pool": 1,
    });
  }

  unary<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    request: MessageInitShape<I>,
    metadata: Metadata = new Metadata(),
  ): Promise<Answer<O>> {
    const { path, serialize, deserialize } = codecOf(method);
    return new Promise((resolve, reject) => {
      let header = new Metadata();
      let trailer = new Metadata();
      let message: MessageShape<O> | undefined;
      const call = this.#client.makeUnaryRequest(path, serialize, deserialize, request, metadata, (error, answer) => {
        if (error !== null) {
          reject(error);
        }
        message = answer;
      });
      call.on("metadata", (received) => {
        header = received;
      });
      call.on("status", ({ metadata: received }) => {
        trailer = received;
        if (message !== undefined) {
          resolve({ message, header, trailer });
        }
      });
    });
  }

  serverStream<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    request: MessageInitShape<I>,
  ): ClientReadableStream<MessageShape<O>> {
    const { path, serialize, deserialize } = codecOf(method);
    return this.#client.makeServerStreamRequest(path, serialize, deserialize, request);
  }

  /** @returns the stream to write to, and the answer to come */
  clientStream<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
  ): {
    readonly call: ClientWritableStream<MessageInitShape<I>>;
    readonly answer: Promise<MessageShape<O> | undefined>;
  } {
    const { path, serialize, deserialize } = codecOf(method);
    const { promise: answer, resolve, reject } = Promise.withResolvers<MessageShape<O> | undefined>();
    const call = this.#client.makeClientStreamRequest(path, serialize, deserialize, (error, message) =>
      error === null ? resolve(message) : reject(error),
    );
    return { call, answer };
  }

  duplex<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    options: CallOptions = {},
  ): ClientDuplexStream<MessageInitShape<I>, MessageShape<O>> {
    const { path, serialize, deserialize } = codecOf(method);
    return this.#client.makeBidiStreamRequest(path, serialize, deserialize, options);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

function codecOf<I extends DescMessage, O extends DescMessage>({ parent, name, input, output }: Method<I, O>) {
  return {
    path: `/${parent.typeName}/${name}`,
    serialize: (message: MessageInitShape<I>): Buffer => Buffer.from(toBinary(input, create(input, message))),
    deserialize: (bytes: Buffer): MessageShape<O> => fromBinary(output, bytes),
  };
}
