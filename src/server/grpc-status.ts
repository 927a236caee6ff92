import type { ConnectError } from "@connectrpc/connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { Metadata } from "@grpc/grpc-js";

import { toMetadata } from "./grpc-metadata.ts";

/** The end of a failed call as grpc-js takes it. */
export interface GrpcStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

/** The status of a failed call, with its google.rpc details, and the error's own metadata among the trailers. */
export function toGrpcStatus(error: ConnectError, trailer: Headers): GrpcStatus {
  return {
    code: error.code,
    // grpc-js throws on lone surrogates.
    details: error.rawMessage.toWellFormed(),
    metadata: toMetadata(setTrailerStatus(new Headers(trailer), error)) ?? new Metadata(),
  };
}
