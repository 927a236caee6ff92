import { setImmediate as giveWay } from "node:timers/promises";
import type { DescExtension, DescFile, DescService } from "@bufbuild/protobuf";
import { toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import type { ServerReflectionRequest as RequestV1 } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionV1 } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import type { ServerReflectionRequest as RequestV1alpha } from "#gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { ServerReflection as ServerReflectionV1alpha } from "#gen/grpc/reflection/v1alpha/reflection_pb.ts";

/** Server reflection in both versions, which differ only in the package. */
export interface ReflectionHandlers {
  readonly v1: ServiceImpl<typeof ServerReflectionV1>;
  readonly v1alpha: ServiceImpl<typeof ServerReflectionV1alpha>;
}

type Request = RequestV1 | RequestV1alpha;

type Answer =
  | { readonly case: "fileDescriptorResponse"; readonly value: { fileDescriptorProto: Uint8Array[] } }
  | {
      readonly case: "allExtensionNumbersResponse";
      readonly value: { baseTypeName: string; extensionNumber: number[] };
    }
  | { readonly case: "listServicesResponse"; readonly value: { service: { name: string }[] } }
  | { readonly case: "errorResponse"; readonly value: { errorCode: Code; errorMessage: string } };

/** Describes the given services and the reflection services themselves: their files and all imports. */
export function createReflectionHandlers(services: readonly DescService[]): ReflectionHandlers {
  const schema = new Schema([...services, ServerReflectionV1, ServerReflectionV1alpha]);

  async function* answerEach<R extends Request>(
    requests: AsyncIterable<R>,
  ): AsyncGenerator<{ validHost: string; originalRequest: R; messageResponse: Answer }> {
    for await (const request of requests) {
      // One chunk can hold thousands of requests, and an answer is a thousand times as large.
      await giveWay();
      yield { validHost: request.host, originalRequest: request, messageResponse: schema.answer(request) };
    }
  }

  return { v1: { serverReflectionInfo: answerEach }, v1alpha: { serverReflectionInfo: answerEach } };
}

/** The files of the services, indexed by everything that reflection can ask for. */
class Schema {
  readonly #services: readonly string[];
  readonly #files = new Map<string, DescFile>();
  /** By the full name of every declaration. */
  readonly #filesBySymbol = new Map<string, DescFile>();
  readonly #extensions: DescExtension[] = [];
  readonly #bytes = new Map<DescFile, Uint8Array>();

  constructor(services: readonly DescService[]) {
    this.#services = services.map(({ typeName }) => typeName);
    for (const file of withImports(services.map((service) => service.file))) {
      this.#files.set(file.proto.name, file);
      this.#bytes.set(file, toBinary(FileDescriptorProtoSchema, file.proto));
      this.#extensions.push(...extensionsOf(file));
      for (const symbol of symbolsOf(file)) {
        this.#filesBySymbol.set(symbol, file);
      }
    }
  }

  answer({ messageRequest }: Request): Answer {
    switch (messageRequest.case) {
      case "fileByFilename":
        return this.#describe(this.#files.get(messageRequest.value), "file");
      case "fileContainingSymbol":
        return this.#describe(this.#filesBySymbol.get(messageRequest.value), "symbol");
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = messageRequest.value;
        const extension = this.#extensionsOf(containingType).find(({ number }) => number === extensionNumber);
        return this.#describe(extension?.file, "extension");
      }
      case "allExtensionNumbersOfType":
        return this.#listExtensions(messageRequest.value);
      case "listServices":
        return { case: "listServicesResponse", value: { service: this.#services.map((name) => ({ name })) } };
      case undefined:
      default:
        return refuse(Code.Unimplemented, "unknown kind of request");
    }
  }

  /** Answers with a file and all its imports, even if the stream has already received some of them. */
  #describe(file: DescFile | undefined, kind: string): Answer {
    if (file === undefined) {
      return refuse(Code.NotFound, `unknown ${kind}`);
    }
    const fileDescriptorProto = withImports([file]).flatMap((each) => this.#bytes.get(each) ?? []);
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
  }

  #listExtensions(baseTypeName: string): Answer {
    if (!this.#filesBySymbol.has(baseTypeName)) {
      return refuse(Code.NotFound, "unknown type");
    }
    const extensionNumber = this.#extensionsOf(baseTypeName).map(({ number }) => number);
    return { case: "allExtensionNumbersResponse", value: { baseTypeName, extensionNumber } };
  }

  #extensionsOf(typeName: string): DescExtension[] {
    return this.#extensions.filter(({ extendee }) => extendee.typeName === typeName);
  }
}

/** Files and all their imports, each once and before the files it imports. */
function withImports(files: readonly DescFile[]): DescFile[] {
  const found = new Set<DescFile>();
  const find = (file: DescFile): void => {
    if (!found.has(file)) {
      file.dependencies.forEach(find);
      found.add(file);
    }
  };
  files.forEach(find);
  return [...found].toReversed();
}

function extensionsOf(file: DescFile): DescExtension[] {
  return [...nestedTypes(file)].filter((type) => type.kind === "extension");
}

/** The full names of what a file declares. Enum values have the scope of their enum, as in C++. */
function* symbolsOf(file: DescFile): Generator<string> {
  for (const type of nestedTypes(file)) {
    yield type.typeName;
    switch (type.kind) {
      case "message":
        yield* [...type.fields, ...type.oneofs].map(({ name }) => `${type.typeName}.${name}`);
        break;
      case "enum":
        yield* type.values.map(({ name }) => `${type.typeName.slice(0, -type.name.length)}${name}`);
        break;
      case "service":
        yield* type.methods.map(({ name }) => `${type.typeName}.${name}`);
        break;
      case "extension":
        break;
    }
  }
}

function refuse(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
