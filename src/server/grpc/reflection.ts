import { type DescFile, type DescService, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Server, ServiceDefinition } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";

import { toConnectError } from "../../rpc/error-table.ts";
import { REQUEST_ID_HEADER, requestIdOf } from "../../rpc/request-id.ts";
import type { MountOptions } from "../mount-options.ts";
import { peerOf } from "../peer.ts";
import { toHeaders } from "./metadata.ts";
import type { ReflectionStream, ReflectionStreams } from "./reflection-streams.ts";
import { type GrpcStatus, toGrpcStatus } from "./status.ts";

/**
 * Serves reflection, v1 and v1alpha, for the given services and for itself. It is fed with each service's file and all
 * its imports, as protoc described them: what it can make of a loaded .proto by itself is not enough for strict
 * clients.
 *
 * @param further files that no service imports, such as those of the details of errors: without them, clients cannot
 *   show what an Any holds
 * @param streams bounds what its streams may take
 * @param options say who may ask
 */
export function addReflection(
  server: Server,
  services: readonly DescService[],
  further: readonly DescFile[],
  streams: ReflectionStreams,
  options: MountOptions,
): void {
  const files = new Map<string, FileDescriptorProto>();
  for (const file of [...services.map((service) => service.file), ...further]) {
    collect(file, files);
  }
  for (const file of ownFiles()) {
    files.set(file.name, file);
  }
  const fileDescriptorProtos = [...files.values()].map((file) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, file)),
  );
  new ReflectionService({
    served: { format: "Protocol Buffer 3 DescriptorProto", type: {}, fileDescriptorProtos },
  }).addToServer({
    addService(definition, implementation) {
      const bounded = Object.entries(implementation).map(([name, answer]) => [
        name,
        (call: ReflectionStream) =>
          streams.admit(
            call,
            () => refusalOf(call, options),
            (admitted) => void Reflect.apply(answer, undefined, [admitted]),
          ),
      ]);
      server.addService(definition, Object.fromEntries(bounded));
    },
  });
}

function refusalOf(call: ReflectionStream, { admitUnseen, logger }: MountOptions): GrpcStatus | undefined {
  const header = toHeaders(call.metadata);
  try {
    admitUnseen?.(header, peerOf(call.getPeer()));
    return undefined;
  } catch (error) {
    const requestId = requestIdOf(header.get(REQUEST_ID_HEADER));
    return toGrpcStatus(toConnectError(error, { requestId, procedure: call.getPath(), logger }), new Headers());
  }
}

function collect(file: DescFile, into: Map<string, FileDescriptorProto>): void {
  if (into.has(file.proto.name)) {
    return;
  }
  into.set(file.proto.name, file.proto);
  for (const imported of file.dependencies) {
    collect(imported, into);
  }
}

/** The files of the reflection services themselves. */
function ownFiles(): FileDescriptorProto[] {
  const files: FileDescriptorProto[] = [];
  new ReflectionService({}).addToServer({
    addService: (definition) => {
      files.push(...filesOf(definition).map(complete));
    },
  });
  return files;
}

/** What a loader of .proto files has left of the files behind a service. */
function filesOf(definition: ServiceDefinition): FileDescriptorProto[] {
  const [method] = Object.values(definition);
  const type: unknown = method !== undefined && "requestType" in method ? method.requestType : undefined;
  if (typeof type !== "object" || type === null || !("fileDescriptorProtos" in type)) {
    return [];
  }
  const files: readonly unknown[] = Array.isArray(type.fileDescriptorProtos) ? type.fileDescriptorProtos : [];
  return files
    .filter((bytes) => bytes instanceof Uint8Array)
    .map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}

/**
 * Puts back what the loader has lost of a file without imports and nested types: syntax, path, names of fields as they
 * are written, and the full names of types.
 */
function complete(file: FileDescriptorProto): FileDescriptorProto {
  file.syntax = "proto3";
  file.name = `${file.package.replaceAll(".", "/")}/reflection.proto`;
  const full = (name: string): string => (name === "" || name.startsWith(".") ? name : `.${file.package}.${name}`);
  for (const message of file.messageType) {
    for (const part of [...message.field, ...message.oneofDecl]) {
      part.name = part.name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    }
    for (const field of message.field) {
      field.typeName = full(field.typeName);
    }
  }
  for (const method of file.service.flatMap((service) => service.method)) {
    method.inputType = full(method.inputType);
    method.outputType = full(method.outputType);
  }
  return file;
}
