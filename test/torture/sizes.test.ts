import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";
import type { Protocol } from "./plain-calls.ts";
import { bodyOf, callTogether, OK, RESOURCE_EXHAUSTED } from "./plain-calls.ts";
import { BATCH_LOOKUP, batchMessageOf, LOOKUP, lookupMessageOf } from "./requests.ts";

const LIMITS = [
  { method: "Lookup", path: LOOKUP, limit: 4 * 1_024, messageOf: lookupMessageOf },
  { method: "BatchLookup", path: BATCH_LOOKUP, limit: 256 * 1_024, messageOf: batchMessageOf },
];
const WAYS: readonly (readonly [Protocol, "h2" | "http/1.1"])[] = [
  ["gRPC", "h2"],
  ["gRPC-Web", "h2"],
  ["gRPC-Web", "http/1.1"],
  ["Connect", "h2"],
  ["Connect", "http/1.1"],
];
const SIZES = LIMITS.flatMap((limit) =>
  WAYS.flatMap(([protocol, http]) => [
    { ...limit, protocol, http, isCompressed: false },
    { ...limit, protocol, http, isCompressed: true },
  ]),
);

let app: TestApp;

beforeAll(async () => {
  app = await startTestApp();
});

afterAll(() => app[Symbol.asyncDispose]());

test.each(SIZES)(
  "row 6: a $method message of $limit bytes, compressed: $isCompressed, is accepted over $protocol and $http; one byte more is not",
  async ({ path, limit, messageOf, isCompressed, protocol, http }) => {
    const callOf = (bytes: number) => {
      const message = isCompressed ? gzipSync(messageOf(bytes)) : messageOf(bytes);
      return { protocol, path, isCompressed, body: bodyOf(protocol, path, message, isCompressed) };
    };
    const place = { url: `http://${app.httpAddress}` };

    const statuses = [
      await callTogether(place, { protocol: http }, 1, callOf(limit)),
      await callTogether(place, { protocol: http }, 1, callOf(limit + 1)),
    ].flat();

    expect(statuses).toEqual([OK, RESOURCE_EXHAUSTED]);
  },
);
