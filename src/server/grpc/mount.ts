import type { MethodImplSpec, ServiceImplSpec } from "@connectrpc/connect";
import type { Server, ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";

import { methodName } from "../limits/call-limits.ts";
import { serverStreamingHandler } from "./server-streaming.ts";
import { unaryHandler } from "./unary.ts";
import type { MountOptions } from "../mount-options.ts";

/**
 * Serves a service written for Connect, as `createServiceImplSpec` gives it, on a grpc-js server: unary and
 * server-streaming methods, with deadline, cancellation, headers, trailers, error details and interceptors as under
 * Connect.
 *
 * @throws {TypeError} when the service has a method whose client streams
 */
export function mountService(server: Server, service: ServiceImplSpec, options: MountOptions): void {
  const definition: Record<string, ServiceDefinition[string]> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const [name, spec] of Object.entries(service.methods)) {
    definition[name] = {
      path: `/${methodName(spec.method)}`,
      requestStream: false,
      responseStream: spec.kind === "server_streaming",
      // Messages stay bytes inside grpc-js, so that what is wrong with them is answered here.
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    };
    implementation[name] = handlerOf(spec, options);
  }
  server.addService(definition, implementation);
}

function handlerOf(spec: MethodImplSpec, options: MountOptions): UntypedServiceImplementation[string] {
  if (spec.kind === "unary") {
    return unaryHandler(spec, options);
  }
  if (spec.kind === "server_streaming") {
    return serverStreamingHandler(spec, options);
  }
  throw new TypeError(`${methodName(spec.method)}: methods whose client streams cannot be mounted`);
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}
