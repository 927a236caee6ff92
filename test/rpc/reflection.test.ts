import type { DescService } from "@bufbuild/protobuf";
import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import type { ServerReflectionRequest, ServerReflectionResponse } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "#gen/grpc/reflection/v1/reflection_pb.ts";
import {
  ServerReflection as ServerReflectionV1alpha,
  ServerReflectionResponseSchema as ResponseV1alphaSchema,
} from "#gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { createReflectionHandlers } from "../../src/rpc/reflection.ts";

type Question = ServerReflectionRequest["messageRequest"];

const VEHICLE_FILE = "vehicle/v1/vehicle_service.proto";
const ERROR_DETAILS_FILE = "google/rpc/error_details.proto";

interface Clients {
  readonly v1: Client<typeof ServerReflection>;
  readonly v1alpha: Client<typeof ServerReflectionV1alpha>;
}

function setUp(services: readonly DescService[] = [VehicleService]): Clients {
  const handlers = createReflectionHandlers(services);
  const transport = createRouterTransport(({ service }) => {
    service(ServerReflection, handlers.v1);
    service(ServerReflectionV1alpha, handlers.v1alpha);
  });
  return { v1: createClient(ServerReflection, transport), v1alpha: createClient(ServerReflectionV1alpha, transport) };
}

/** The answers to questions of one stream. */
async function ask({ v1 }: Clients, ...questions: Question[]): Promise<ServerReflectionResponse["messageResponse"][]> {
  async function* requests() {
    yield* questions.map((messageRequest) => ({ messageRequest }));
  }
  const answers = await Array.fromAsync(v1.serverReflectionInfo(requests()));
  return answers.map(({ messageResponse }) => messageResponse);
}

function filesIn(answer: ServerReflectionResponse["messageResponse"] | undefined): FileDescriptorProto[] {
  const bytes = answer?.case === "fileDescriptorResponse" ? answer.value.fileDescriptorProto : [];
  return bytes.map((file) => fromBinary(FileDescriptorProtoSchema, file));
}

/** A service in a file with a message "Open" that may be extended, and one extension of it, number 100. */
function aServiceWithExtension(): DescService {
  const file = create(FileDescriptorProtoSchema, {
    name: "test/extended.proto",
    package: "test",
    syntax: "proto2",
    messageType: [{ name: "Open", extensionRange: [{ start: 100, end: 200 }] }],
    extension: [{ name: "more", number: 100, label: Label.OPTIONAL, type: Type.STRING, extendee: ".test.Open" }],
    service: [{ name: "Extended" }],
  });
  const service = createFileRegistry(file, () => undefined).getService("test.Extended");
  if (service === undefined) {
    throw new Error("the registry lacks the service");
  }
  return service;
}

describe("ServerReflectionInfo", () => {
  test("lists the services and the reflection services themselves", async () => {
    const [answer] = await ask(setUp(), { case: "listServices", value: "*" });

    expect(answer).toMatchObject({
      case: "listServicesResponse",
      value: {
        service: [
          { name: "vehicle.v1.VehicleService" },
          { name: "grpc.reflection.v1.ServerReflection" },
          { name: "grpc.reflection.v1alpha.ServerReflection" },
        ],
      },
    });
  });

  test("returns a file first, then everything it imports, each file once", async () => {
    const [answer] = await ask(setUp(), { case: "fileByFilename", value: VEHICLE_FILE });

    const names = filesIn(answer).map(({ name }) => name);
    expect(names[0]).toBe(VEHICLE_FILE);
    expect(names.toSorted()).toEqual([
      "google/protobuf/any.proto",
      "google/protobuf/duration.proto",
      "google/protobuf/timestamp.proto",
      ERROR_DETAILS_FILE,
      "google/rpc/status.proto",
      VEHICLE_FILE,
    ]);
  });

  test("returns files that can be loaded one by one, from the last to the first", async () => {
    const [answer] = await ask(setUp(), { case: "fileByFilename", value: VEHICLE_FILE });

    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: filesIn(answer).toReversed() }));

    expect(registry.getService(VehicleService.typeName)?.methods.map(({ name }) => name)).toEqual(
      VehicleService.methods.map(({ name }) => name),
    );
  });

  test.each([
    ["a service", "vehicle.v1.VehicleService", VEHICLE_FILE],
    ["a method", "vehicle.v1.VehicleService.Lookup", VEHICLE_FILE],
    ["a message", "vehicle.v1.LookupResponse", VEHICLE_FILE],
    ["a field", "vehicle.v1.LookupResponse.model_year", VEHICLE_FILE],
    ["a oneof", "vehicle.v1.BatchLookupResponse.result", VEHICLE_FILE],
    ["an enum", "vehicle.v1.Source", VEHICLE_FILE],
    ["an enum's value", "vehicle.v1.SOURCE_VPIC", VEHICLE_FILE],
    ["a nested message", "google.rpc.BadRequest.FieldViolation", ERROR_DETAILS_FILE],
    ["a type of error details", "google.rpc.RetryInfo", ERROR_DETAILS_FILE],
    ["its own service", "grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto"],
  ])("finds the file of %s", async (_, symbol, file) => {
    const [answer] = await ask(setUp(), { case: "fileContainingSymbol", value: symbol });

    expect(filesIn(answer)[0]?.name).toBe(file);
  });

  test("finds the file of an extension, by its name and by its number", async () => {
    const value = { $typeName: "grpc.reflection.v1.ExtensionRequest", containingType: "test.Open" } as const;

    const answers = await ask(
      setUp([aServiceWithExtension()]),
      { case: "fileContainingSymbol", value: "test.more" },
      { case: "fileContainingExtension", value: { ...value, extensionNumber: 100 } },
    );

    expect(answers.map((answer) => filesIn(answer)[0]?.name)).toEqual(["test/extended.proto", "test/extended.proto"]);
  });

  test.each([
    ["test.Open", [100]],
    ["grpc.reflection.v1.ErrorResponse", []],
  ])("lists the numbers of the extensions of %s", async (type, extensionNumber) => {
    const clients = setUp([aServiceWithExtension()]);

    const [answer] = await ask(clients, { case: "allExtensionNumbersOfType", value: type });

    expect(answer).toMatchObject({
      case: "allExtensionNumbersResponse",
      value: { baseTypeName: type, extensionNumber },
    });
  });

  test.each<Question>([
    { case: "fileByFilename", value: "vehicle/v2/vehicle_service.proto" },
    { case: "fileContainingSymbol", value: "vehicle.v1.Nothing" },
    { case: "allExtensionNumbersOfType", value: "vehicle.v1.Nothing" },
    {
      case: "fileContainingExtension",
      value: {
        $typeName: "grpc.reflection.v1.ExtensionRequest",
        containingType: "vehicle.v1.LookupRequest",
        extensionNumber: 1,
      },
    },
  ])("answers NOT_FOUND when $case finds nothing, and continues", async (question) => {
    const [missing, next] = await ask(setUp(), question, { case: "fileByFilename", value: VEHICLE_FILE });

    expect(missing).toMatchObject({ case: "errorResponse", value: { errorCode: Code.NotFound } });
    expect(next?.case).toBe("fileDescriptorResponse");
  });

  test("answers UNIMPLEMENTED to an unknown kind of request", async () => {
    const [answer] = await ask(setUp(), { case: undefined });

    expect(answer).toMatchObject({ case: "errorResponse", value: { errorCode: Code.Unimplemented } });
  });

  test("echoes the host and the request", async () => {
    const request = create(ServerReflectionRequestSchema, {
      host: "vehicles.example",
      messageRequest: { case: "listServices", value: "" },
    });
    async function* requests() {
      yield request;
    }

    const [answer] = await Array.fromAsync(setUp().v1.serverReflectionInfo(requests()));

    expect([answer?.validHost, answer?.originalRequest]).toEqual(["vehicles.example", request]);
  });

  test("answers v1alpha as it answers v1", async () => {
    const { v1, v1alpha } = setUp();
    async function* requests() {
      yield { messageRequest: { case: "fileByFilename", value: VEHICLE_FILE } } as const;
    }

    const [newer] = await Array.fromAsync(v1.serverReflectionInfo(requests()));
    const [older] = await Array.fromAsync(v1alpha.serverReflectionInfo(requests()));

    expect(older?.messageResponse.case).toBe("fileDescriptorResponse");
    expect(toBinary(ResponseV1alphaSchema, create(ResponseV1alphaSchema, older))).toEqual(
      toBinary(ServerReflectionResponseSchema, create(ServerReflectionResponseSchema, newer)),
    );
  });
});
