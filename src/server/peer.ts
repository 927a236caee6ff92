import type { ContextValues } from "@connectrpc/connect";

/** Who is at the other end of a call's connection. */
export interface Peer {
  /** The remote address without port, such as `127.0.0.1` or `::1`; `unknown` when the connection is gone. */
  readonly address: string;
}

/** Makes the context values that a call starts with, for interceptors and handlers that want to know the peer. */
export type ContextValuesOf = (peer: Peer) => ContextValues;

/** What stands for the address of a connection that is gone. */
export const UNKNOWN_ADDRESS = "unknown";

/** The peer from what grpc-js says of it: `address:port`, without brackets even for IPv6. */
export function peerOf(addressAndPort: string): Peer {
  const colon = addressAndPort.lastIndexOf(":");
  return { address: colon === -1 ? addressAndPort : addressAndPort.slice(0, colon) };
}
