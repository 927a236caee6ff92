import { STATUS_CODES } from "node:http";
import { Code } from "@connectrpc/connect";
import { afterAll, describe, expect, test } from "vitest";
import type { Exchange } from "../../src/server/exchange.ts";
import { answerBytes, answerText } from "../../src/server/exchange.ts";
import { eventually } from "../support/eventually.ts";
import { postOf, RawClient } from "../support/raw-client.ts";
import { LOOKUP, PING, REMOVE, answerAll, serve } from "../support/serve.ts";
import { writeTls } from "../support/tls-on-disk.ts";

const GET_PING = "GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n\r\n";
const CHUNKED_LOOKUP = `POST ${LOOKUP} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${CHUNKED}`;

const stack = new AsyncDisposableStack();
const disk = stack.use(await writeTls());
const server = stack.use(await serve({ plain: PING }));
/** Closes a connection soon when the headers of its request do not arrive. */
const hasty = stack.use(await serve({ plain: PING, limits: { http1: { headersMs: 100 }, lookMs: 10 } }));
afterAll(() => stack.disposeAsync());

function countOf(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}

test.each([
  ["is not HTTP", "HELO there\r\n\r\n", 400],
  ["has headers of more than 16 KiB", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(17_000)}\r\n\r\n`, 431],
  ["has headers without an end", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(1_000_000)}`, 431],
  ["has a malformed body", `${CHUNKED_LOOKUP}1\r\n{\r\nno chunk\r\n`, 400],
  ["has chunk extensions without an end", `${CHUNKED_LOOKUP}1${";x=y".repeat(10_000)}`, 413],
  ["stops before the end of its headers", "GET / HTTP/1.1\r\nHost: a\r\n", 408],
])(
  "a request that %s gets an error on a new and on a used connection, which is closed",
  async (_what, request, status) => {
    using client = await RawClient.open(hasty.port);
    using used = await RawClient.open(hasty.port);
    const pong = await used.send(GET_PING).until(/pong\n$/);

    const first = await client.send(request).all();
    const second = await used.send(request).all();

    const line = `${status} ${STATUS_CODES[status]}`;
    const refusal = new RegExp(`^HTTP/1\\.1 ${line}\\r\\nConnection: close\\r\\n.*\\.\n$`, "s");
    expect(first).toMatch(refusal);
    expect(second.slice(pong.length)).toMatch(refusal);
  },
);

test("a request is answered, and its connection is closed without an error when it is idle", async () => {
  await using impatient = await serve({ plain: PING, limits: { http1: { headersMs: 10, idleMs: 100 }, lookMs: 10 } });
  using client = await RawClient.open(impatient.port);

  const answer = await client.send(GET_PING).all();

  expect(answer).toMatch(/^HTTP\/1\.1 200 OK.*pong\n$/s);
});

test("a request whose body does not arrive is answered 408 by a plain route", async () => {
  await using slow = await serve({
    plain: answerAll(() => new Promise(() => {})),
    limits: { watch: { arrivalTimeoutMs: 50 } },
  });
  using client = await RawClient.open(slow.port);

  const answer = await client.send("GET /never HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1").all();

  expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
  expect(answer).toMatch(/\r\nconnection: close\r\n/i);
});

test("a request whose body is malformed after its answer has begun gets no second answer", async () => {
  const begun: Exchange[] = [];
  await using streaming = await serve({
    plain: answerAll((exchange) => {
      begun.push(exchange);
      exchange.writeHead(200, {});
      exchange.response.write("begun");
    }),
  });
  using client = await RawClient.open(streaming.port);
  client.send("GET /begun HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
  await client.until(/begun/);

  const answer = await client.send("no chunk\r\n").all();

  expect(countOf(answer, /HTTP\/1\.1 /g)).toBe(1);
  expect(begun.map(({ isClosed }) => isClosed)).toEqual([true]);
});

describe("a request that is refused before its body has arrived", () => {
  test.each([
    ["of an unknown type", LOOKUP, "text/html", 4_096, /^HTTP\/1\.1 415 /],
    ["too large", LOOKUP, "application/json", 65_535, /^HTTP\/1\.1 429 .*the request is larger than 4096 bytes/s],
    ["for another path", "/nothing", "application/json", 4_096, /^HTTP\/1\.1 404 /],
  ])("because it is %s leaves its connection usable", async (_what, path, type, bytes, refusal) => {
    using client = await RawClient.open(server.port);

    client.send(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\n${CHUNKED}${bytes.toString(16)}\r\n`);
    client.send(" ".repeat(bytes / 2));
    await client.until(/\r\n\r\n/);
    client.send(`${" ".repeat(Math.ceil(bytes / 2))}\r\n0\r\n\r\n${GET_PING}`);
    const answer = await client.until(/pong/);

    expect(answer).toMatch(refusal);
    expect(answer).toMatch(/HTTP\/1\.1 200 OK.*pong\n$/s);
  });

  test("gets `connection: close` if the rest of it is too long to read", async () => {
    using client = await RawClient.open(server.port);

    client.send(`POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: ${2 ** 30}\r\n\r\n1`);

    expect(await client.until(/\r\n\r\n/)).toMatch(/\r\nconnection: close\r\n/i);
  });

  test("is cut off after 1 MiB of its rest", async () => {
    using client = await RawClient.open(server.port);

    client.send(`POST /nothing HTTP/1.1\r\nHost: a\r\n${CHUNKED}`);
    client.send(`200000\r\n${" ".repeat(2 ** 21)}\r\n`);
    await client.closed;

    // Not after 5 s, because its rest would be taken for the headers of another request.
    expect(client.text).not.toContain("HTTP/1.1 408");
  });
});

describe("a pipeline", () => {
  test("runs at most 8 requests at once, answers them in order, and loses none", async () => {
    const waiting: (() => void)[] = [];
    let most = 0;
    await using hanging = await serve({
      handlers: {
        lookup: ({ vin }) => {
          const { promise, resolve } = Promise.withResolvers<object>();
          waiting.push(() => resolve({ vin }));
          most = Math.max(most, waiting.length);
          return promise;
        },
      },
    });
    using client = await RawClient.open(hanging.port);
    const vins = Array.from({ length: 100 }, (_, index) => `V${index}`);
    const goOn = setInterval(() => waiting.shift()?.(), 1);

    client.send(vins.map((vin) => postOf(LOOKUP, `{"vin":"${vin}"}`)).join(""));
    const answer = await client.until(/"V99"/);
    clearInterval(goOn);

    expect([...answer.matchAll(/"vin":"(V\d+)"/g)].map(([, vin]) => vin)).toEqual(vins);
    expect(most).toBe(8);
  });

  test.each<[string, (client: RawClient) => void]>([
    ["leaves", ({ socket }) => socket.destroy()],
    ["closes its side", ({ socket }) => socket.end()],
  ])("whose client %s has its calls cancelled, also those that wait for the first answer", async (_how, leave) => {
    await using hanging = await serve({ handlers: { lookup: () => new Promise(() => {}) } });
    using client = await RawClient.open(hanging.port, { staysOpen: true });
    client.send(postOf(LOOKUP, "{}").repeat(7));
    await eventually(() => expect(hanging.started).toHaveLength(7));

    leave(client);

    await eventually(() => expect(hanging.ended).toHaveLength(7));
    expect(hanging.ended.every(({ code }) => code === Code.Canceled)).toBe(true);
    expect(hanging.server.calls.inFlight).toBe(0);
  });

  test("of requests that are refused at once lets the server serve other connections in between", async () => {
    let inTurn = 0;
    let most = 0;
    await using counting = await serve({
      isOwnHost: () => {
        if (inTurn === 0) {
          setImmediate(() => (inTurn = 0));
        }
        inTurn++;
        most = Math.max(most, inTurn);
        return true;
      },
    });
    using client = await RawClient.open(counting.port);

    client.send("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1_500));
    await client.until((text) => countOf(text, /HTTP\/1\.1 404/g) === 1_500);

    expect(most).toBeLessThan(100);
  });
});

describe("a connection is not read further", () => {
  /** Makes requests on other connections. By their answers, the server has had time to read more of the first one. */
  async function askOnOthers(port: number, ca?: string): Promise<void> {
    for (let count = 0; count < 20; count++) {
      using other = await RawClient.open(port, { ca });
      await other.send("PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").all();
    }
  }

  /** A request of more than a slice, so that it is read alone. */
  function paddedGet(path: string): string {
    return `GET ${path} HTTP/1.1\r\nHost: a\r\nX-Pad: ${"x".repeat(1_024)}\r\n\r\n`;
  }

  test.each(["TCP", "TLS"])("while 8 requests are unanswered, over %s", async (wire) => {
    const ca = wire === "TLS" ? disk.ca : undefined;
    await using hanging = await serve({
      ...(wire === "TLS" && { tls: disk.tls }),
      handlers: { lookup: () => new Promise(() => {}) },
    });
    using client = await RawClient.open(hanging.port, { ca });

    // More than all buffers between client and server can hold. A single read by the server returns hundreds of them.
    client.send(postOf(LOOKUP, "{}").repeat(100_000));
    await eventually(() => expect(hanging.started.length).toBeGreaterThan(0));
    await askOnOthers(hanging.port, ca);

    expect(hanging.started.length).toBeLessThan(100);
    expect(client.socket.writableLength).toBeGreaterThan(0);
  });

  test("while answers of more than a buffer wait for an earlier one", async () => {
    const first = Promise.withResolvers<void>();
    let begun = 0;
    await using slow = await serve({
      plain: answerAll(async (exchange) => {
        if (exchange.path === "/first") {
          await first.promise;
        } else {
          begun++;
        }
        answerText(exchange, 200, exchange.path.padEnd(100_000));
      }),
    });
    using client = await RawClient.open(slow.port);

    client.send(paddedGet("/first") + paddedGet("/large").repeat(3));
    await eventually(() => expect(begun).toBeGreaterThan(0));
    await askOnOthers(slow.port);
    const before = begun;
    first.resolve();
    const answer = await client.until((text) => countOf(text, /HTTP\/1\.1 200/g) === 4);

    expect(before).toBe(1);
    expect(answer.match(/^\/\w+/gm)).toEqual(["/first", "/large", "/large", "/large"]);
  });

  test("while its client does not read an answer", async () => {
    const long = Buffer.alloc(20_000_000);
    let begun = 0;
    await using generous = await serve({
      plain: answerAll((exchange) => {
        begun++;
        answerBytes(exchange, 200, {}, long);
      }),
    });
    using client = await RawClient.open(generous.port, { isDeaf: true });

    client.send(paddedGet("/long").repeat(2));
    await eventually(() => expect(begun).toBeGreaterThan(0));
    await askOnOthers(generous.port);
    const before = begun;
    client.socket.resume();
    await eventually(() => expect(begun).toBe(2));

    expect(before).toBe(1);
  });

  test("while a handler does not read the body of a request", async () => {
    const begun = Promise.withResolvers<Exchange>();
    await using unread = await serve({
      plain: answerAll((exchange) => {
        begun.resolve(exchange);
        return new Promise(() => {});
      }),
    });
    using client = await RawClient.open(unread.port);

    client.send(`POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: ${2 ** 26}\r\n\r\n`);
    client.send(Buffer.alloc(2 ** 26));
    const { request } = await begun.promise;
    await askOnOthers(unread.port);

    expect(request.readableLength).toBeLessThanOrEqual(request.readableHighWaterMark + 1_024);
    expect(client.socket.writableLength).toBeGreaterThan(0);
  });
});

test.each([
  ["\\vehicle.v1.VehicleService\\Remove", "400"],
  ["/vehicle.v1.VehicleService\\Remove", "404"],
  [`/x/..${REMOVE}`, "404"],
  [`/.${REMOVE}`, "404"],
  [`/${REMOVE}`, "404"],
  [`${REMOVE}/`, "404"],
  ["/vehicle.v1.VehicleService/%52emove", "404"],
  [`${REMOVE}#`, "404"],
  [`http://localhost\\..${REMOVE}`, "400"],
  [`http:/${REMOVE}`, "404"],
  [`ftp://localhost${REMOVE}`, "404"],
])("the path %s reaches no RPC", async (path, status) => {
  using client = await RawClient.open(server.port);
  server.started.length = 0;

  client.send(postOf(path, '{"vin":"V"}'));
  const answer = await client.until(/\r\n\r\n/);

  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(server.started).toEqual([]);
});

test.each(["Host: a b", "Host: [", "Host: a:b:c", "Host: ", "Host: a\r\nHost: b", "No-Host: a"])(
  "a request with %j is refused because of its Host header, and the refusal has its id",
  async (header) => {
    using client = await RawClient.open(server.port);

    const answer = await client.send(`GET /ping HTTP/1.1\r\n${header}\r\nX-Request-Id: mine\r\n\r\n`).all();

    expect(answer).toMatch(/^HTTP\/1\.1 400 .*The request has no valid Host header\.\n$/s);
    expect(answer).toMatch(/\r\nx-request-id: mine\r\n/);
    expect(answer).toMatch(/\r\nconnection: close\r\n/i);
  },
);

test("an unknown expectation is ignored", async () => {
  using client = await RawClient.open(server.port);

  const answer = await client.send("GET /ping HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n").until(/pong/);

  expect(answer).toMatch(/^HTTP\/1\.1 200 OK/);
});
