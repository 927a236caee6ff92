import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { create, createFileRegistry, type DescMethod, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** Every method that a gRPC listener serves, as it describes them by reflection to callers with this header. */
export async function readServedMethods(grpcAddress: string, authorization: string): Promise<readonly DescMethod[]> {
  const ask: Ask = (path, ...options) => bufCurl(`http://${grpcAddress}${path}`, authorization, options);
  const services = (await ask("", "--list-services")).trim().split("\n");
  const methods = await Promise.all(services.map((service) => methodsOf(ask, service)));
  return methods.flat();
}

type Ask = (path: string, ...options: readonly string[]) => Promise<string>;

async function methodsOf(ask: Ask, service: string): Promise<readonly DescMethod[]> {
  const request = JSON.stringify({ fileContainingSymbol: service });
  const reflected: unknown = JSON.parse(
    await ask("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "-d", request),
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

async function bufCurl(url: string, authorization: string, options: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)("node_modules/.bin/buf", [
    "curl",
    "--protocol",
    "grpc",
    "--http2-prior-knowledge",
    "--header",
    `authorization: ${authorization}`,
    "--reflect-header",
    "*",
    ...options,
    url,
  ]);
  return stdout;
}
