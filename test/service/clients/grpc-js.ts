import type { DescMethod, JsonValue, Message } from "@bufbuild/protobuf";
import { fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import type { ServiceError } from "@grpc/grpc-js";
import { Client, compressionAlgorithms, credentials, Metadata } from "@grpc/grpc-js";
import { DETAILS, isUnary, methodOf } from "./call-over-transport.ts";
import type { CallOptions, ClientKind } from "./client.ts";
import { toCallError } from "./to-call-error.ts";

/** The client of grpc-js, with every request compressed. */
export const grpcJs: ClientKind = {
  name: "grpc-js",
  sendsGzip: true,
  takesGzip: true,
  async open({ address, authority }) {
    const security =
      authority === undefined ? credentials.createInsecure() : credentials.createSsl(Buffer.from(authority.ca));
    const client = new Client(address, security, {
      "grpc.default_compression_algorithm": compressionAlgorithms.gzip,
    });
    return {
      call(name, request, options) {
        const method = methodOf(name);
        return call(client, method, fromJson(method.input, request), options);
      },
      async [Symbol.asyncDispose]() {
        client.close();
      },
    };
  },
};

function call(client: Client, method: DescMethod, request: Message, options: CallOptions = {}): Promise<JsonValue[]> {
  const path = `/${method.parent.typeName}/${method.name}`;
  const serialize = (message: Message): Buffer => Buffer.from(toBinary(method.input, message));
  const deserialize = (bytes: Buffer): JsonValue =>
    toJson(method.output, fromBinary(method.output, bytes), { registry: DETAILS });
  const { timeoutMs, signal } = options;
  const callOptions = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
  const { promise, resolve, reject } = Promise.withResolvers<JsonValue[]>();
  const fail = (error: ServiceError): void => reject(toError(error));
  if (isUnary(method)) {
    const running = client.makeUnaryRequest(
      path,
      serialize,
      deserialize,
      request,
      new Metadata(),
      callOptions,
      (error, answer) => (error === null ? resolve(answer === undefined ? [] : [answer]) : fail(error)),
    );
    signal?.addEventListener("abort", () => running.cancel());
    return promise;
  }
  const answers: JsonValue[] = [];
  const running = client.makeServerStreamRequest(path, serialize, deserialize, request, new Metadata(), callOptions);
  running.on("data", (answer: JsonValue) => answers.push(answer));
  running.on("error", fail);
  running.on("end", () => resolve(answers));
  signal?.addEventListener("abort", () => running.cancel());
  return promise;
}

function toError({ code, details, metadata }: ServiceError): Error {
  const [status] = metadata.get("grpc-status-details-bin");
  return toCallError(code, details, Buffer.isBuffer(status) ? status : undefined);
}
