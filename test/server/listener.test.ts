import { Code } from "@connectrpc/connect";
import { afterAll, describe, expect, test } from "vitest";
import { ListenError } from "../../src/server/listen.ts";
import { eventually } from "../support/eventually.ts";
import { Http2Client } from "../support/http2-client.ts";
import { postOf, RawClient } from "../support/raw-client.ts";
import { LOOKUP, PING, serve } from "../support/serve.ts";
import { writeTls } from "../support/tls-on-disk.ts";
import { FrameType, OPENING } from "../support/http2-frames.ts";

const GET_PING = "GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

const stack = new AsyncDisposableStack();
const disk = stack.use(await writeTls());
const open = stack.use(await serve({ plain: PING }));
const secure = stack.use(await serve({ plain: PING, tls: disk.tls }));
afterAll(() => stack.disposeAsync());

/** Whether the server has answered in HTTP/2: its first frame is SETTINGS. */
async function speaksHttp2(client: RawClient): Promise<boolean> {
  await client.until((text) => text.length >= 9);
  return client.bytes[3] === FrameType.settings;
}

test.each([
  ["HTTP/2", OPENING, true],
  ["HTTP/1.1 even if they begin like HTTP/2", Buffer.from("PRI * HTTP/1.1\r\nHost: localhost\r\n\r\n"), false],
])("the first bytes of a connection select %s, even if they arrive one by one", async (_what, bytes, isHttp2) => {
  using client = await RawClient.open(open.port);

  for (const byte of bytes) {
    client.send(Buffer.of(byte));
    // Answered after the server has read the byte.
    await fetch(`http://${open.address}/ping`);
  }

  expect(await speaksHttp2(client)).toBe(isHttp2);
  expect(client.text.startsWith("HTTP/1.1 400 ")).toBe(!isHttp2);
});

describe("with TLS, a connection", () => {
  test.each([
    ["HTTP/1.1", ["http/1.1"], GET_PING, false],
    ["HTTP/2", ["h2"], OPENING, true],
    ["no protocol", undefined, GET_PING, false],
    ["no protocol", undefined, OPENING, true],
  ])("may select %s in the handshake", async (_what, protocols, bytes, isHttp2) => {
    using client = await RawClient.open(secure.port, { ca: disk.ca, protocols });

    client.send(bytes);

    expect(client.socket).toMatchObject({ alpnProtocol: protocols?.[0] ?? false });
    expect(await speaksHttp2(client)).toBe(isHttp2);
  });

  test("in clear text gets an error that says to use TLS, and is closed even if its client keeps its side open", async () => {
    using client = await RawClient.open(secure.port, { staysOpen: true });

    const answer = await client.send(GET_PING).all();
    await client.sendUntilClosed();

    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(answer).toMatch(/\r\n\r\nThis port requires TLS\. Use https\.\n$/);
  });
});

describe("a connection over the limit", () => {
  const connections = { maxOpenPerAddress: 1 };

  test.each([
    ["over HTTP/2", () => undefined, OPENING],
    ["at once with TLS", () => disk.tls, ""],
  ])("is closed %s", async (_how, tls, bytes) => {
    await using server = await serve({ connections, tls: tls() });
    using _first = await RawClient.open(server.port);
    using second = await RawClient.open(server.port);

    second.send(bytes);
    await second.closed;

    expect(second.text).toBe("");
  });

  test("gets an error over HTTP/1.1 that says when to retry", async () => {
    await using server = await serve({ connections });
    using _first = await RawClient.open(server.port);
    using second = await RawClient.open(server.port);

    const answer = await second.send(GET_PING).all();

    expect(answer).toMatch(/^HTTP\/1\.1 429 Too Many Requests\r\nRetry-After: 10\r\nConnection: close\r\n/);
    expect(answer).toMatch(/\r\n\r\nToo many connections from this address\. /);
  });
});

test("an address may be an IPv6 address", async () => {
  await using server = await serve({ plain: PING });
  const address = await server.server.listen("GRPC_PORT", "::1", 0);

  const answer = await fetch(`http://${address}/ping`);

  expect(address).toMatch(/^\[::1\]:\d+$/);
  expect(answer.status).toBe(200);
});

test.each([
  ["127.0.0.1", () => open.port, "the port is in use"],
  ["192.0.2.1", () => 0, "this machine does not have this address"],
  ["no-such-host.invalid", () => 0, /the host name is unknown|EAI_AGAIN/],
])("an address that is unavailable is reported in one line: %s", async (host, port, reason) => {
  await using server = await serve();

  const error: unknown = await server.server.listen("GRPC_PORT", host, port()).catch((caught: unknown) => caught);

  expect(error).toBeInstanceOf(ListenError);
  expect(String(error)).toMatch(reason);
  expect(String(error)).toMatch(new RegExp(`^ListenError: GRPC_PORT: cannot listen on ${host}:${port()}: .*$`));
});

describe("draining", () => {
  test("lets every call of a pipeline finish, even if the last body arrives during the drain", async () => {
    const slow = Promise.withResolvers<object>();
    await using server = await serve({ handlers: { lookup: ({ vin }) => (vin === "slow" ? slow.promise : {}) } });
    using client = await RawClient.open(server.port);
    const quick = postOf(LOOKUP, '{"vin":"quick"}');
    client.send(postOf(LOOKUP, '{"vin":"slow"}') + quick + quick.slice(0, -5));
    await eventually(() => expect(server.started).toHaveLength(3));

    const drained = server.server.drain(60_000);
    client.send(quick.slice(-5));
    slow.resolve({});
    const answer = await client.all();
    await drained;

    expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3);
  });

  test("aborts running calls at the end of the grace period", async () => {
    await using server = await serve({ handlers: { lookup: () => new Promise(() => {}) } });
    using http1 = await RawClient.open(server.port);
    using http2 = new Http2Client(server.address);
    http1.send(postOf(LOOKUP, "{}"));
    const lookup = { ":method": "POST", ":path": LOOKUP, "content-type": "application/json" };
    const answer = http2.request(lookup, "{}");
    await eventually(() => expect(server.started).toHaveLength(2));

    await server.server.drain(50);
    await http1.closed;

    expect(http1.text).toBe("");
    expect(await answer).toMatchObject({ status: undefined });
    await eventually(() => {
      expect(server.ended.map(({ code }) => code)).toEqual([Code.Canceled, Code.Canceled]);
    });
  });

  test("does not wait for a connection in its TLS handshake", async () => {
    await using server = await serve({ tls: disk.tls });
    using client = await RawClient.open(server.port);
    client.send(Buffer.of(0x16, 3, 1));
    using other = await RawClient.open(server.port, { ca: disk.ca });
    await other.send(GET_PING).all();

    await server.server.drain(2 ** 30);
    await client.closed;

    expect(client.text).toBe("");
  });
});

test("disposing closes every connection at once, even during a handshake", async () => {
  const server = await serve({ tls: disk.tls });
  using silent = await RawClient.open(server.port);
  using half = await RawClient.open(server.port);
  using http1 = await RawClient.open(server.port, { ca: disk.ca });
  using http2 = new Http2Client(server.address, disk.ca);
  half.send(Buffer.of(0x16, 3, 1));
  http1.send("GET / HTTP/1.1\r\n");
  await http2.request({ ":path": "/" });

  await server[Symbol.asyncDispose]();

  await Promise.all([silent.closed, half.closed, http1.closed, http2.closed]);
  expect([silent, half, http1].map(({ text }) => text)).toEqual(["", "", ""]);
});
