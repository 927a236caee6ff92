import type { ClientHttp2Stream } from "node:http2";
import { once } from "node:events";
import { constants } from "node:http2";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { EchoHttp2, frame } from "../support/echo-http2.ts";
import { Http2Client } from "../support/http2-client.ts";
import { EXPORT, LOOKUP, serve } from "../support/serve.ts";

/** Two parts exceed the window of Node's client. One part is smaller than the buffer of a server stream. */
const PART = Buffer.alloc(50_000);

let handled = Promise.withResolvers<void>();
let client: EchoHttp2;
const server = await serve({
  handlers: {
    async *export() {
      for (let count = 0; count < 2; count++) {
        yield { part: { case: "data", value: PART } };
        await whenSent();
      }
      handled.resolve();
    },
  },
});
afterAll(() => server[Symbol.asyncDispose]());

beforeEach(() => {
  handled = Promise.withResolvers();
  client = new EchoHttp2(server.address);
  return () => client[Symbol.dispose]();
});

/** Opens a call and waits until its handler has ended. The client has not taken the last bytes. */
async function openUntilHandled(contentType: string): Promise<ClientHttp2Stream> {
  const stream = client.open(EXPORT, { "content-type": contentType });
  stream.end(frame());
  await handled.promise;
  await whenSent();
  return stream;
}

/** Waits until the server has sent all that it can, by making another request on the same connection. */
async function whenSent(): Promise<void> {
  await client.call("/nothing", frame());
}

const TYPES = ["application/grpc", "application/grpc-web+proto", "application/connect+proto"];

describe.each(TYPES)("a stream over %s", (contentType) => {
  test.each<[string, (stream: ClientHttp2Stream) => void, Code | undefined]>([
    ["ends when its client has taken the last message", (stream) => stream.resume(), undefined],
    ["is cancelled when its client leaves first", (stream) => stream.close(constants.NGHTTP2_CANCEL), Code.Canceled],
  ])("%s", async (_how, act, expected) => {
    const before = server.ended.length;
    const stream = await openUntilHandled(contentType);
    const endedBefore = server.ended.length;

    act(stream);
    await server.whenEnded(before + 1);

    expect(endedBefore).toBe(before);
    expect(server.ended.slice(before).map(({ code }) => code)).toEqual([expected]);
  });
});

test("a refusal that its client does not read is reset, whether it was sent at once or in its turn", async () => {
  await using full = await serve({ maxCalls: 0, limits: { turnMs: 0, watch: { stallTimeoutMs: 100 } } });
  using deaf = new Http2Client(full.address, undefined, { initialWindowSize: 0 });
  const streams = Array.from({ length: 3 }, () => {
    const stream = deaf.open({ ":method": "POST", ":path": LOOKUP, "content-type": "application/json" });
    return stream.end("{}");
  });

  await Promise.all(streams.map((stream) => once(stream, "close")));

  expect(streams.map(({ rstCode }) => rstCode)).toEqual(streams.map(() => constants.NGHTTP2_CANCEL));
});
