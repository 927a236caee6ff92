import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Transport } from "@connectrpc/connect";
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { callOverTransport } from "./call-over-transport.ts";
import type { ClientKind, Target } from "./client.ts";
import { urlOf } from "./client.ts";

type Protocol = "gRPC" | "gRPC-Web" | "Connect";

/** Connect for Node, with one of its protocols, and with every request compressed. */
export function connectNode(protocol: Protocol, httpVersion: "1.1" | "2"): ClientKind {
  return {
    name: `connect-node, ${protocol} over HTTP/${httpVersion}`,
    sendsGzip: true,
    takesGzip: true,
    async open(target) {
      const connections = new DisposableStack();
      const transport = createTransport(protocol, httpVersion, target, connections);
      return {
        call: (method, request, options) => callOverTransport(transport, method, request, options),
        async [Symbol.asyncDispose]() {
          connections.dispose();
        },
      };
    },
  };
}

function createTransport(
  protocol: Protocol,
  httpVersion: "1.1" | "2",
  target: Target,
  connections: DisposableStack,
): Transport {
  const tls = target.authority === undefined ? {} : { ca: target.authority.ca };
  const options = { baseUrl: urlOf(target), sendCompression: compressionGzip, compressMinBytes: 0 };
  if (httpVersion === "1.1") {
    const Agent = target.authority === undefined ? HttpAgent : HttpsAgent;
    const agent = connections.adopt(new Agent({ keepAlive: true, ...tls }), (it) => it.destroy());
    const http1 = { ...options, httpVersion, nodeOptions: { agent } };
    return protocol === "Connect" ? createConnectTransport(http1) : createGrpcWebTransport(http1);
  }
  const sessionManager = connections.adopt(new Http2SessionManager(urlOf(target), {}, tls), (it) => it.abort());
  const http2 = { ...options, httpVersion, sessionManager };
  switch (protocol) {
    case "gRPC":
      return createGrpcTransport(http2);
    case "gRPC-Web":
      return createGrpcWebTransport(http2);
    case "Connect":
      return createConnectTransport(http2);
    default:
      return protocol satisfies never;
  }
}
