import type { DescMessage, MessageShape } from "@bufbuild/protobuf";

import type { MountOptions } from "../mount-options.ts";
import { peerOf } from "../peer.ts";
import type { GrpcCall } from "./call.ts";
import { decodeRequest } from "./message.ts";

/**
 * The message of a call.
 *
 * @throws {ConnectError} when it cannot be read, or what `admitUnseen` throws then
 */
export function readRequest<Desc extends DescMessage>(
  schema: Desc,
  surface: { readonly request: Buffer; getPeer(): string },
  maxBytes: number,
  call: GrpcCall,
  { admitUnseen }: MountOptions,
): MessageShape<Desc> {
  try {
    return decodeRequest(schema, surface.request, maxBytes);
  } catch (error) {
    admitUnseen?.(call.requestHeader, peerOf(surface.getPeer()));
    throw error;
  }
}
