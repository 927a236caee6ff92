import type { Client, Transport } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

/** Where a service listens. */
export interface Addresses {
  readonly grpcAddress: string;
  readonly httpAddress: string;
}

type TransportFactory = (addresses: Addresses) => Transport;

const options = { acceptCompression: [compressionGzip], sendCompression: compressionGzip, compressMinBytes: 0 };

/** connect-node with each of its protocols, on the listener that speaks it. */
export const TRANSPORTS: Readonly<Record<"grpc" | "grpc-web" | "connect", TransportFactory>> = {
  grpc: ({ grpcAddress }) => createGrpcTransport({ baseUrl: `http://${grpcAddress}`, ...options }),
  "grpc-web": ({ httpAddress }) =>
    createGrpcWebTransport({ baseUrl: `http://${httpAddress}`, httpVersion: "1.1", ...options }),
  connect: ({ httpAddress }) =>
    createConnectTransport({ baseUrl: `http://${httpAddress}`, httpVersion: "1.1", useHttpGet: true, ...options }),
};

/** A client over gRPC, or over the given protocol. */
export function clientOf(
  addresses: Addresses,
  protocol: keyof typeof TRANSPORTS = "grpc",
): Client<typeof VehicleService> {
  return createClient(VehicleService, TRANSPORTS[protocol](addresses));
}

export interface ProtocolOverHttp {
  readonly protocol: "gRPC" | "gRPC-Web" | "Connect";
  readonly http: "2" | "1.1";
}

interface ClientOptions {
  readonly address: string;
  /** The authority of the server's certificate, as PEM, if the server uses TLS. */
  readonly ca?: string | undefined;
  /** Compresses each request with gzip. Default: requests are not compressed. */
  readonly compress?: ((request: Uint8Array) => Uint8Array) | undefined;
  /** Whether messages are JSON. Default: false. */
  readonly isJson?: boolean;
  /** Whether Connect calls Lookup with GET. Default: false. */
  readonly usesGet?: boolean;
}

/** A client of connect-node. Its requests are plain unless `compress` is given. */
export function clientOver(
  { protocol, http }: ProtocolOverHttp,
  { address, ca, compress, isJson, usesGet }: ClientOptions,
): Client<typeof VehicleService> {
  const create = { gRPC: createGrpcTransport, "gRPC-Web": createGrpcWebTransport, Connect: createConnectTransport };
  const gzip = compress && {
    ...compressionGzip,
    compress: async (bytes: Uint8Array) => Uint8Array.from(compress(bytes)),
  };
  const transport = create[protocol]({
    baseUrl: `${ca === undefined ? "http" : "https"}://${address}`,
    httpVersion: http,
    // A hundred calls at once are more than clients usually make.
    nodeOptions: { ca, maxSessionMemory: 1_000 },
    ...(gzip && { sendCompression: gzip, compressMinBytes: 0 }),
    useBinaryFormat: isJson !== true,
    useHttpGet: usesGet === true,
  });
  return createClient(VehicleService, transport);
}
