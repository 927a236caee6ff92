import type { Browser } from "playwright-core";
import { bufCurl } from "./buf-curl.ts";
import { chromium } from "./chromium.ts";
import type { ClientKind } from "./client.ts";
import { connectNode } from "./connect-node.ts";
import { grpcJs } from "./grpc-js.ts";
import { plainFetch } from "./plain-fetch.ts";

/** Every client that comes from npm. */
export function npmClients(browser: () => Browser): readonly ClientKind[] {
  return [
    grpcJs,
    connectNode("gRPC", "2"),
    connectNode("gRPC-Web", "1.1"),
    connectNode("gRPC-Web", "2"),
    connectNode("Connect", "1.1"),
    connectNode("Connect", "2"),
    bufCurl("gRPC"),
    bufCurl("gRPC-Web"),
    bufCurl("Connect"),
    chromium("gRPC-Web", browser),
    chromium("Connect", browser),
    plainFetch,
  ];
}
