import { gzipSync } from "node:zlib";

import type { Finding, Row } from "./finding.ts";
import type { PlainCall, Protocol } from "./plain-calls.ts";
import { bodyOf, callHttp1, callOnce, RESOURCE_EXHAUSTED } from "./plain-calls.ts";
import { BATCH_LOOKUP, batchMessageOf, LOOKUP, lookupMessageOf } from "./requests.ts";
import { Target } from "./target.ts";

interface Size {
  readonly what: string;
  readonly path: string;
  readonly message: Buffer;
  readonly isCompressed: boolean;
  readonly status: number;
}

function sizesOf(path: string, limit: number, messageOf: (byteLength: number) => Buffer): Size[] {
  return [0, 1].flatMap((over) =>
    [false, true].map((isCompressed) => ({
      what: `${path.split("/")[2] ?? ""} ${limit + over} bytes${isCompressed ? ", compressed" : ""}`,
      path,
      message: isCompressed ? gzipSync(messageOf(limit + over)) : messageOf(limit + over),
      isCompressed,
      status: over === 0 ? 0 : RESOURCE_EXHAUSTED,
    })),
  );
}

const SIZES: readonly Size[] = [
  ...sizesOf(LOOKUP, 4 * 1024, lookupMessageOf),
  ...sizesOf(BATCH_LOOKUP, 256 * 1024, batchMessageOf),
];

/** Row 9: messages of just the size that is allowed, and of one byte more. */
export const rowsOfSizes: readonly Row[] = [
  {
    number: 9,
    title: "message-size limits",
    async run() {
      await using target = await Target.start();
      await using secured = await Target.startSecured();
      const callSecured = async (call: PlainCall): Promise<number> =>
        await callOnce(`https://${secured.httpAddress}`, call, secured.ca);
      const findings: Finding[] = [];
      for (const { what, path, message, isCompressed, status } of SIZES) {
        const callOf = (protocol: Protocol): PlainCall => {
          return { protocol, path, isCompressed, body: bodyOf(protocol, path, message, isCompressed) };
        };
        const seen = {
          gRPC: await callOnce(`http://${target.grpcAddress}`, callOf("gRPC")),
          "gRPC-Web": await callHttp1(target.httpAddress, callOf("gRPC-Web")),
          Connect: await callHttp1(target.httpAddress, callOf("Connect")),
          "gRPC-Web over HTTP/2": await callSecured(callOf("gRPC-Web")),
          "Connect over HTTP/2": await callSecured(callOf("Connect")),
        };
        findings.push({
          listener: "both",
          what,
          figures: Object.entries(seen).map(([name, value]) => ({
            name: `${name} status`,
            value,
            atLeast: status,
            atMost: status,
          })),
        });
      }
      return findings;
    },
  },
];
