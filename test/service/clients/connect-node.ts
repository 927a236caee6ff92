import { TRANSPORTS } from "../../support/clients.ts";
import { callOverTransport } from "./call-over-transport.ts";
import type { RealClientKind } from "./real-call.ts";

/** Connect for Node, with one of its protocols. */
export function connectNode(protocol: keyof typeof TRANSPORTS): RealClientKind {
  return {
    port: protocol === "grpc" ? "grpcAddress" : "httpAddress",
    compressesRequests: true,
    // grpc-js, which serves gRPC, has no compression of answers.
    getsCompressed: protocol !== "grpc",
    async open(addresses) {
      const transport = TRANSPORTS[protocol](addresses);
      return {
        call: (method, request, options) => callOverTransport(transport, method, request, options),
        async [Symbol.asyncDispose]() {},
      };
    },
  };
}
