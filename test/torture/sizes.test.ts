import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { clientOver } from "../support/clients.ts";
import { startTestApp } from "../support/test-app.ts";
import { CACHED_VIN, outcomeOf, WAYS } from "./ways.ts";

/** The head of a message is the field's number and the VIN's length, which takes two or three bytes. */
const LIMITS = [
  { method: "Lookup", limit: 4 * 1_024, headBytes: 3 },
  { method: "BatchLookup", limit: 256 * 1_024, headBytes: 4 },
] as const;

const app = await startTestApp();
afterAll(() => app[Symbol.asyncDispose]());

test.each(
  LIMITS.flatMap((limit) => WAYS.flatMap((way) => [false, true].map((isCompressed) => ({ limit, way, isCompressed })))),
)(
  "row 6: a $limit.method message of $limit.limit bytes, compressed: $isCompressed, is accepted over $way.protocol and HTTP/$way.http; one byte more is not",
  async ({ limit: { method, limit, headBytes }, way, isCompressed }) => {
    const compress = isCompressed ? gzipSync : undefined;
    const client = clientOver(way, { address: app.httpAddress, compress });

    const outcomes = [
      await outcomeOf(client, method, CACHED_VIN.padEnd(limit - headBytes)),
      await outcomeOf(client, method, CACHED_VIN.padEnd(limit - headBytes + 1)),
    ];

    expect(outcomes).toEqual(["answered", "ResourceExhausted"]);
  },
);
