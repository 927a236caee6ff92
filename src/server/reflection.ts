import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Server } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";

/**
 * Serves reflection, v1 and v1alpha, for the given services. The reflection service is fed with each service's file and
 * all its imports, as protoc described them: what it can make of a loaded .proto by itself is not enough for strict
 * clients.
 */
export function addReflection(server: Server, services: readonly DescService[]): void {
  const files = new Map<string, DescFile>();
  for (const service of services) {
    collect(service.file, files);
  }
  const fileDescriptorProtos = [...files.values()].map((file) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)),
  );
  new ReflectionService({
    served: { format: "Protocol Buffer 3 DescriptorProto", type: {}, fileDescriptorProtos },
  }).addToServer(server);
}

function collect(file: DescFile, into: Map<string, DescFile>): void {
  if (into.has(file.proto.name)) {
    return;
  }
  into.set(file.proto.name, file);
  for (const imported of file.dependencies) {
    collect(imported, into);
  }
}
