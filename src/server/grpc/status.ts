import { ConnectError } from "@connectrpc/connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { Metadata } from "@grpc/grpc-js";

import { toMetadata } from "./metadata.ts";

/** The end of a failed call as grpc-js takes it. */
export interface GrpcStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

/**
 * The status of a failed call, with its google.rpc details, and the error's own metadata among the trailers. Never
 * throws: details that cannot be encoded are left out.
 */
export function toGrpcStatus(error: ConnectError, trailer: Headers): GrpcStatus {
  const { code } = error;
  // Both Connect and grpc-js throw on lone surrogates.
  const details = error.rawMessage.toWellFormed();
  const wellFormed = new ConnectError(details, code, error.metadata);
  wellFormed.details = error.details;
  try {
    return {
      code,
      details,
      metadata: toMetadata(setTrailerStatus(new Headers(trailer), wellFormed)) ?? new Metadata(),
    };
  } catch {
    return { code, details, metadata: new Metadata() };
  }
}
