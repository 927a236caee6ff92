import { create, createFileRegistry, type DescMethod, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ServerReflection, type ServerReflectionResponse } from "#gen/grpc/reflection/v1/reflection_pb.ts";

type Question =
  | { readonly case: "listServices"; readonly value: string }
  | { readonly case: "fileContainingSymbol"; readonly value: string };

/** Every method that a service serves, as it describes them by reflection to callers with this header. */
export async function readServedMethods(address: string, authorization: string): Promise<readonly DescMethod[]> {
  const client = createClient(ServerReflection, createGrpcTransport({ baseUrl: `http://${address}` }));
  const ask = async (messageRequest: Question): Promise<ServerReflectionResponse["messageResponse"]> => {
    async function* requests() {
      yield { messageRequest };
    }
    const [answer] = await Array.fromAsync(client.serverReflectionInfo(requests(), { headers: { authorization } }));
    return answer?.messageResponse ?? { case: undefined };
  };
  const listed = await ask({ case: "listServices", value: "" });
  const services = listed.case === "listServicesResponse" ? listed.value.service.map(({ name }) => name) : [];
  const methods = await Promise.all(
    services.map(async (service) => {
      const described = await ask({ case: "fileContainingSymbol", value: service });
      const files = described.case === "fileDescriptorResponse" ? described.value.fileDescriptorProto : [];
      // Each file comes before what it imports.
      const file = files.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes)).toReversed();
      const registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
      return registry.getService(service)?.methods ?? [];
    }),
  );
  return methods.flat();
}
