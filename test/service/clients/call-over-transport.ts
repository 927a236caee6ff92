import type {
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  JsonObject,
  JsonValue,
  Registry,
} from "@bufbuild/protobuf";
import { createRegistry, fromJson, toJson } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { file_google_rpc_error_details } from "#gen/google/rpc/error_details_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { CallOptions, MethodName } from "./client.ts";

/** The types of error details. */
export const DETAILS: Registry = createRegistry(file_google_rpc_error_details);

/** Makes calls with the part of Connect that Node and browsers share. Runs in both. */
export async function callOverTransport(
  transport: Transport,
  name: MethodName,
  request: JsonObject,
  { timeoutMs, signal }: CallOptions = {},
): Promise<JsonValue[]> {
  const method = methodOf(name);
  const message = fromJson(method.input, request);
  if (isUnary(method)) {
    const answer = await transport.unary(method, signal, timeoutMs, undefined, message);
    return [toJson(method.output, answer.message, { registry: DETAILS })];
  }
  const answers = await transport.stream(method, signal, timeoutMs, undefined, once(message));
  return Array.fromAsync(answers.message, (answer) => toJson(method.output, answer, { registry: DETAILS }));
}

/** The method of this name. */
export function methodOf(name: MethodName): DescMethodUnary | DescMethodServerStreaming {
  const method = VehicleService.methods.find((candidate) => candidate.name === name);
  if (method === undefined || !(isUnary(method) || isServerStreaming(method))) {
    throw new TypeError(`no method ${name}`);
  }
  return method;
}

/** Whether a call has exactly one answer. */
export function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

function isServerStreaming(method: DescMethod): method is DescMethodServerStreaming {
  return method.methodKind === "server_streaming";
}

async function* once<T>(message: T): AsyncIterable<T> {
  yield message;
}
