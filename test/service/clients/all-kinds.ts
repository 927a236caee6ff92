import type { Browser } from "playwright-core";
import { bufCurl } from "./buf-curl.ts";
import { chromium } from "./chromium.ts";
import { connectNode } from "./connect-node.ts";
import { grpcJs } from "./grpc-js.ts";
import { python } from "./python.ts";
import type { RealClientKind } from "./real-call.ts";

/**
 * Every kind of client that is looked after, by its name.
 *
 * @param pythonPath a Python that has grpcio; left out, that client is too
 */
export function allKinds(browser: () => Browser, pythonPath: string | undefined): [string, RealClientKind][] {
  return [
    ["grpc-js", grpcJs],
    ["connect-node over gRPC", connectNode("grpc")],
    ["connect-node over gRPC-Web", connectNode("grpc-web")],
    ["connect-node over Connect", connectNode("connect")],
    ["buf curl over gRPC", bufCurl("grpc")],
    ["buf curl over gRPC-Web", bufCurl("grpcweb")],
    ["buf curl over Connect", bufCurl("connect")],
    ["Chromium over gRPC-Web", chromium("grpc-web", browser)],
    ["Chromium over Connect", chromium("connect", browser)],
    ...(pythonPath === undefined ? [] : [["Python's grpcio", python(pythonPath)] satisfies [string, RealClientKind]]),
  ];
}
