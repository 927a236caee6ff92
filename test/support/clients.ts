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
