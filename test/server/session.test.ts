import { once } from "node:events";
import { constants } from "node:http2";
import { Code } from "@connectrpc/connect";
import { afterAll, describe, expect, test } from "vitest";
import { disposeAfterTest } from "../support/dispose-after-test.ts";
import { eventually } from "../support/eventually.ts";
import { answerOf, Http2Client } from "../support/http2-client.ts";
import { RawClient } from "../support/raw-client.ts";
import type { Served, ServeOptions } from "../support/serve.ts";
import { BATCH, LOOKUP, PING, REFLECTION, serve } from "../support/serve.ts";
import { writeTls } from "../support/tls-on-disk.ts";
import * as h2 from "../support/http2-frames.ts";

const RPC = { ":method": "POST", ":path": LOOKUP, "content-type": "application/json" };
const STREAM = { ":method": "POST", ":path": BATCH };
/** Messages without a value. */
const [EMPTY, EMPTY_JSON] = [h2.grpcMessage(Buffer.alloc(0)), h2.grpcMessage(Buffer.from("{}"))];
const PING_PATH = { ":path": "/ping" };

const disk = await writeTls();
afterAll(() => disk[Symbol.asyncDispose]());

/** The opening of a connection and a call, in one packet. */
const OPENING_AND_CALL = Buffer.concat([
  h2.OPENING,
  h2.headers(1, h2.callHeaders(LOOKUP, "localhost", "20S", "application/grpc-web+proto")),
  h2.data(1, EMPTY, true),
]);

/** The types of the frames that a client has received on stream 0, and the ids of the streams with a whole answer. */
function receivedBy({ bytes }: RawClient) {
  const [frames, answered]: [number[], number[]] = [[], []];
  const note = (type: number, isEnd: boolean, stream: number): void => {
    if (stream === 0) {
      frames.push(type);
    } else if (isEnd) {
      answered.push(stream);
    }
  };
  new h2.FrameReader(note).push(bytes);
  return { frames, answered };
}

describe.each(["TCP", "TLS"])("over %s, a connection", (wire) => {
  let finish = Promise.withResolvers<object>();

  async function start(sessions: NonNullable<ServeOptions["limits"]>["sessions"], more: ServeOptions = {}) {
    finish = Promise.withResolvers();
    return disposeAfterTest(
      await serve({
        plain: PING,
        handlers: { lookup: () => finish.promise },
        ...(wire === "TLS" && { tls: disk.tls }),
        limits: { lookMs: 10, sessions: { goodbyeMs: 30, ...sessions } },
        ...more,
      }),
    );
  }

  /** A client that answers no pings, and keeps its side open. */
  async function open(server: Served, first: Uint8Array): Promise<RawClient> {
    const options = wire === "TLS" ? { ca: disk.ca, protocols: ["h2"] } : {};
    return disposeAfterTest(await RawClient.open(server.port, { ...options, staysOpen: true })).send(first);
  }

  async function untilFrame(client: RawClient, type: number): Promise<void> {
    await client.until(() => receivedBy(client).frames.includes(type));
  }

  test("that has sent only a part of the headers of a call is idle: it gets GOAWAY, and is ended", async () => {
    const server = await start({ idleMs: 50 });

    const client = await open(server, OPENING_AND_CALL.subarray(0, h2.OPENING.byteLength + 40));
    await client.ended;

    expect(receivedBy(client).frames).toContain(h2.FrameType.goAway);
  });

  test("with a call is not idle, and is ended when it has no more calls", async () => {
    const server = await start({ idleMs: 50 });
    const client = await open(server, OPENING_AND_CALL);
    await eventually(() => expect(server.started).toHaveLength(1));
    // This connection opens and times out while the call runs, so the idle limit has passed by then.
    const other = await open(server, h2.OPENING);
    await other.ended;
    const before = receivedBy(client).frames.includes(h2.FrameType.goAway);

    finish.resolve({});
    await client.ended;

    expect(before).toBe(false);
    expect(receivedBy(client).answered).toEqual([1]);
    expect(receivedBy(client).frames).toContain(h2.FrameType.goAway);
  });

  test("that is too old gets GOAWAY, and is ended with its last call", async () => {
    const server = await start({ ageMs: 50 });
    const client = await open(server, OPENING_AND_CALL);

    await untilFrame(client, h2.FrameType.goAway);
    const before = [client.hasEnded, receivedBy(client).answered];
    finish.resolve({});
    await client.ended;

    expect([before, receivedBy(client).answered]).toEqual([[false, []], [1]]);
  });

  test("that is too old is aborted at the end of the grace period, even if calls run", async () => {
    const server = await start({ ageMs: 50, graceMs: 50 });

    const client = await open(server, OPENING_AND_CALL);
    await client.ended;

    expect(receivedBy(client).answered).toEqual([]);
    await eventually(() => expect(server.ended.map((call) => call.code)).toEqual([Code.Canceled]));
  });

  test.each([
    ["was idle", { idleMs: 50 }, ""],
    ["broke the protocol", {}, h2.data(0, Buffer.alloc(0), true)],
    ["sent GOAWAY", {}, h2.h2Frame(h2.FrameType.goAway, 0, 0, Buffer.alloc(8))],
  ])("that %s and is kept open by its client is cut, and no longer counts", async (_what, sessions, bytes) => {
    const server = await start({ lingerMs: 50, ...sessions }, { connections: { maxOpenPerAddress: 1 } });
    const kept = await open(server, h2.OPENING);
    await untilFrame(kept, h2.FrameType.settings);
    kept.send(bytes);
    await kept.ended;

    await eventually(async () => {
      const next = await open(server, h2.OPENING);
      await untilFrame(next, h2.FrameType.settings);
      expect(next.hasEnded).toBe(false);
    });
  });
});

test("a client that answers pings keeps its connection", async () => {
  const limits = { lookMs: 5, sessions: { pingMs: 10, pongMs: 10_000 } };
  await using server = await serve({ plain: PING, limits });
  using client = new Http2Client(server.address);
  let pings = 0;
  client.session.on("ping", () => pings++);

  await eventually(() => expect(pings).toBeGreaterThan(3));

  expect(await client.request(PING_PATH)).toMatchObject({ status: 200 });
});

describe("an HTTP/2 connection", () => {
  test("may have 100 streams and headers of 16 KiB", async () => {
    await using server = await serve({ plain: PING });
    using client = new Http2Client(server.address);

    const [settings] = await once(client.session, "remoteSettings");

    expect(settings).toMatchObject({ maxConcurrentStreams: 100, maxHeaderListSize: 16 * 1_024 });
  });

  test("refuses headers of more than 16 KiB, even before its client has acknowledged the settings", async () => {
    await using server = await serve({ plain: PING });
    using client = await RawClient.open(server.port);
    const block = Buffer.concat([h2.callHeaders(LOOKUP), h2.literal("x", "y".repeat(16_080))]);

    client.send(Buffer.concat([h2.OPENING, h2.headers(1, block, true)]));
    await client.ended;

    expect(server.started).toEqual([]);
  });

  test("continues when a request is refused before its body has arrived", async () => {
    await using server = await serve({ plain: PING });
    using client = new Http2Client(server.address);
    const refused = client.open({ ...RPC, "content-type": "text/html" });
    refused.write(Buffer.alloc(100_000));

    const answer = await answerOf(refused);

    expect(answer).toMatchObject({ status: 415, code: constants.NGHTTP2_NO_ERROR });
    expect(await client.request(PING_PATH)).toMatchObject({ status: 200 });
  });
});

test.each([
  ["an RPC", RPC, 504],
  ["a plain route", { ":path": "/never" }, 408],
])("a request to %s over HTTP/2 that does not arrive in time gets an error with its id", async (...row) => {
  const [, request, status] = row;
  const plain = { "GET /never": { answer: () => new Promise<void>(() => {}) } };
  await using server = await serve({ plain, limits: { watch: { arrivalTimeoutMs: 50 } } });
  using client = new Http2Client(server.address);

  const answer = await answerOf(client.open({ ...request, "x-request-id": "mine" }));

  expect(answer).toMatchObject({ status, headers: { "x-request-id": "mine" } });
});

test.each(["application/grpc", "application/grpc-web+proto", "application/connect+proto"])(
  "a stream of %s that is reset while its handler reads is not logged as a fault",
  async (type) => {
    await using server = await serve();
    using client = await RawClient.open(server.port);
    const call = h2.headers(1, h2.callHeaders(REFLECTION, "localhost", "10S", type));
    // Not by Node's client, which ends its request before it resets the stream.
    client.send(Buffer.concat([h2.OPENING, call, h2.data(1, EMPTY, false)]));
    await eventually(() => expect(server.started).toMatchObject([{ hasReachedHandler: true }]));

    client.send(h2.resetStream(1));
    await server.whenEnded(1);
    await fetch(`http://${server.address}/nothing`);

    expect(server.logger.lines).toEqual([]);
  },
);

test.each([
  ["a unary answer", RPC, "{}", [undefined]],
  ["a stream", { ...STREAM, "content-type": "application/connect+json" }, EMPTY_JSON, [Code.Aborted, "stopped"]],
  ["a stream of gRPC", { ...STREAM, "content-type": "application/grpc" }, EMPTY, [Code.Aborted, "stopped"]],
  ["an answer of gRPC-Web", { ...RPC, "content-type": "application/grpc-web+proto" }, EMPTY, [undefined]],
  ["a plain answer", PING_PATH, undefined, []],
  ["a 404", { ":path": "/nothing" }, undefined, []],
  ["a content type that is refused", { ...RPC, "content-type": "text/html" }, "{}", []],
])("a client whose window has no room for %s has its stream reset after the stall limit", async (...row) => {
  const [, request, body, ends] = row;
  const handlers: string[] = [];
  await using server = await serve({
    plain: PING,
    limits: { watch: { stallTimeoutMs: 50 } },
    handlers: {
      lookup: () => ({ make: "M" }),
      async *batchLookup() {
        try {
          for (;;) {
            yield { vin: "a" };
          }
        } finally {
          handlers.push("stopped");
        }
      },
    },
  });
  using client = new Http2Client(server.address, undefined, { initialWindowSize: 0 });

  const answer = await client.request(request, body);

  expect(answer.status).toBeDefined();
  expect(answer).toMatchObject({ code: constants.NGHTTP2_CANCEL });
  await eventually(() => expect([...server.ended.map(({ code }) => code), ...handlers]).toEqual(ends));
});
