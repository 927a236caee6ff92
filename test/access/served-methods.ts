import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { create, createFileRegistry, type DescMethod, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** Every method that a gRPC listener serves, as it describes them itself by reflection. */
export async function readServedMethods(grpcAddress: string): Promise<readonly DescMethod[]> {
  const services = (await bufCurl(grpcAddress, "--list-services")).trim().split("\n");
  const methods = await Promise.all(services.map((service) => methodsOf(grpcAddress, service)));
  return methods.flat();
}

async function methodsOf(grpcAddress: string, service: string): Promise<readonly DescMethod[]> {
  const reflected: unknown = JSON.parse(
    await bufCurl(
      grpcAddress,
      ["-d", JSON.stringify({ fileContainingSymbol: service })],
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ),
  );
  const registry = createFileRegistry(
    create(FileDescriptorSetSchema, {
      file: filesIn(reflected).map((base64) => fromBinary(FileDescriptorProtoSchema, Buffer.from(base64, "base64"))),
    }),
  );
  return registry.getService(service)?.methods ?? [];
}

/** The files of an answer, in the order in which they need each other. */
function filesIn(reflected: unknown): readonly string[] {
  const answer = fieldOf(reflected, "fileDescriptorResponse");
  const files = fieldOf(answer, "fileDescriptorProto");
  return Array.isArray(files) ? files.map(String).toReversed() : [];
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

async function bufCurl(address: string, options: string | readonly string[], path = ""): Promise<string> {
  const { stdout } = await promisify(execFile)("node_modules/.bin/buf", [
    "curl",
    "--protocol",
    "grpc",
    "--http2-prior-knowledge",
    ...[options].flat(),
    `http://${address}${path}`,
  ]);
  return stdout;
}
