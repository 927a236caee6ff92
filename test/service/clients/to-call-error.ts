import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";

/**
 * Converts the error that a gRPC client received: code, message and, when there are details, the bytes of a
 * google.rpc.Status.
 */
export function toCallError(code: number, message: string, status?: Uint8Array): ConnectError {
  const error = new ConnectError(message, toCode(code));
  error.details =
    status === undefined
      ? []
      : fromBinary(StatusSchema, status).details.map(({ typeUrl, value }) => ({
          type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
          value,
        }));
  return error;
}

/** @throws TypeError when a number is not one of gRPC's error codes. */
export function toCode(number: number): Code {
  if (!isCode(number)) {
    throw new TypeError(`${number} is not an error code of gRPC`);
  }
  return number;
}

function isCode(number: number): number is Code {
  return number in Code;
}
