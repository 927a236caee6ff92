import { Code } from "@connectrpc/connect";
import { afterAll, describe, expect, test } from "vitest";
import type { Exchange } from "../../src/server/exchange.ts";
import { answerText } from "../../src/server/exchange.ts";
import { eventually } from "../support/eventually.ts";
import { postOf, RawClient } from "../support/raw-client.ts";
import type { ServeOptions } from "../support/serve.ts";
import { PING, serve } from "../support/serve.ts";
import { writeTls } from "../support/tls-on-disk.ts";

const LOOKUP = "/vehicle.v1.VehicleService/Lookup";
const REMOVE = "/vehicle.v1.VehicleService/Remove";
const GET_PING = "GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n";

/** The VINs that reached the Remove handler. */
const removed: string[] = [];
const options: ServeOptions = {
  plain: PING,
  handlers: {
    lookup: ({ vin }) => ({ vin }),
    remove: ({ vin }) => {
      removed.push(vin);
      return { vin };
    },
  },
};
const stack = new AsyncDisposableStack();
const disk = stack.use(await writeTls());
const server = stack.use(await serve(options));
/** Closes a connection soon when the headers of its request do not arrive. */
const hasty = stack.use(await serve({ ...options, limits: { http1: { headersMs: 100 }, lookMs: 10 } }));
afterAll(() => stack.disposeAsync());

async function open(): Promise<RawClient> {
  return RawClient.open(server.port);
}

/** Sends a request on a new connection, and returns all bytes until the server ends the connection. */
async function answerTo(request: string): Promise<string> {
  using client = await open();
  return await client.send(request).all();
}

function countOf(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}

describe("a request", () => {
  test.each([
    ["is not HTTP", "HELO there\r\n\r\n", "400 Bad Request"],
    [
      "has headers of more than 16 KiB",
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(17_000)}\r\n\r\n`,
      "431 Request Header Fields Too Large",
    ],
    [
      "has headers without an end",
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(1_000_000)}`,
      "431 Request Header Fields Too Large",
    ],
    [
      "has chunk extensions without an end",
      `POST ${LOOKUP} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n` +
        `Transfer-Encoding: chunked\r\n\r\n1${";x=y".repeat(10_000)}`,
      "413 Payload Too Large",
    ],
    ["stops before the end of its headers", "GET / HTTP/1.1\r\nHost: a\r\n", "408 Request Timeout"],
  ])("that %s gets an error, and its connection is closed", async (_what, request, status) => {
    using client = await RawClient.open(hasty.port);

    const answer = await client.send(request).all();

    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status}\\r\\nConnection: close\\r\\n.*\\.\n$`, "s"));
  });

  test("that follows another one and stops before the end of its headers is answered 408", async () => {
    using client = await RawClient.open(hasty.port);
    await client.send(GET_PING).until(/pong/);

    const answer = await client.send("GET /").all();

    expect(answer).toMatch(/pong\nHTTP\/1\.1 408 Request Timeout\r\nConnection: close\r\n/);
  });

  test("is answered, and its connection is closed without an error when it is idle", async () => {
    await using impatient = await serve({ plain: PING, limits: { http1: { idleMs: 50 }, lookMs: 10 } });
    using client = await RawClient.open(impatient.port);

    const answer = await client.send(GET_PING).all();

    expect(answer).toMatch(/^HTTP\/1\.1 200 OK.*pong\n$/s);
  });
});

describe("a request whose body", () => {
  test("does not arrive is answered 408 by a plain route", async () => {
    await using slow = await serve({
      plain: { "GET /never": { answer: () => new Promise(() => {}) } },
      limits: { watch: { arrivalTimeoutMs: 50 } },
    });
    using client = await RawClient.open(slow.port);

    const answer = await client.send("GET /never HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1").all();

    expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    expect(answer).toMatch(/\r\nconnection: close\r\n/i);
  });

  test("is malformed is answered 400, and its connection is closed", async () => {
    const head = `POST ${LOOKUP} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n`;

    const answer = await answerTo(`${head}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\nno chunk\r\n`);

    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nConnection: close\r\n/);
  });

  test("is malformed after its answer has begun gets no second answer", async () => {
    const begun: Exchange[] = [];
    await using streaming = await serve({
      plain: {
        "GET /begun": {
          answer: (exchange) => {
            begun.push(exchange);
            exchange.writeHead(200, {});
            exchange.response.write("begun");
          },
        },
      },
    });
    using client = await RawClient.open(streaming.port);
    client.send("GET /begun HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    await client.until(/begun/);

    const answer = await client.send("no chunk\r\n").all();

    expect(countOf(answer, /HTTP\/1\.1 /g)).toBe(1);
    expect(begun.map(({ isClosed }) => isClosed)).toEqual([true]);
  });
});

describe("a request that is refused before its body has arrived", () => {
  const CHUNKED = `Transfer-Encoding: chunked\r\n\r\n`;

  test.each([
    ["of an unknown type", "text/html", "415", "1000\r\n"],
    ["too large", "application/json", "429", "ffff\r\n"],
    ["for another path", "application/json", "404", "1000\r\n"],
  ])("because it is %s leaves its connection usable", async (_what, type, status, chunkHead) => {
    using client = await open();
    const path = status === "404" ? "/nothing" : LOOKUP;
    const size = Number.parseInt(chunkHead, 16);

    client.send(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\n${CHUNKED}${chunkHead}`);
    client.send(" ".repeat(size / 2));
    await client.until(/\r\n\r\n/);
    client.send(`${" ".repeat(size - Math.floor(size / 2))}\r\n0\r\n\r\n${GET_PING}`);
    const answer = await client.until(/pong/);

    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toMatch(/HTTP\/1\.1 200 OK.*pong\n$/s);
  });

  test("gets `connection: close` if the rest of it is too long to read", async () => {
    using client = await open();

    client.send(`POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: ${2 ** 30}\r\n\r\n1`);

    expect(await client.until(/\r\n\r\n/)).toMatch(/\r\nconnection: close\r\n/i);
  });

  test("is cut off after 1 MiB of its rest", async () => {
    await using patient = await serve();
    using client = await RawClient.open(patient.port);

    client.send(`POST /nothing HTTP/1.1\r\nHost: a\r\n${CHUNKED}`);
    client.send(`200000\r\n${" ".repeat(2 ** 21)}\r\n`);
    await client.closed;

    // Not after 5 s, because its rest would be taken for the headers of another request.
    expect(client.text).not.toContain("HTTP/1.1 408");
  });
});

describe("a pipeline", () => {
  test("of many requests is answered in order, and then accepts more", async () => {
    using client = await open();
    const wanted = Array.from({ length: 600 }, (_, index) => `V${index}`);

    for (const part of [wanted.slice(0, 300), wanted.slice(300)]) {
      client.send(part.map((vin) => postOf(LOOKUP, `{"vin":"${vin}"}`)).join(""));
      await client.until((text) => text.includes(`"${part.at(-1)}"`));
    }

    expect([...client.text.matchAll(/"vin":"(V\d+)"/g)].map(([, vin]) => vin)).toEqual(wanted);
  });

  test("runs at most 8 requests at once, and loses none", async () => {
    const waiting: PromiseWithResolvers<object>[] = [];
    let most = 0;
    await using hanging = await serve({
      handlers: {
        lookup: () => {
          const answer = Promise.withResolvers<object>();
          waiting.push(answer);
          most = Math.max(most, waiting.length);
          return answer.promise;
        },
      },
    });
    using client = await RawClient.open(hanging.port);
    const goOn = setInterval(() => waiting.shift()?.resolve({}), 1);

    client.send(postOf(LOOKUP, "{}").repeat(100));
    const answer = await client.until((text) => countOf(text, /HTTP\/1\.1 200/g) === 100);
    clearInterval(goOn);

    expect(countOf(answer, /HTTP\/1\.1 200/g)).toBe(100);
    expect(most).toBe(8);
  });

  test.each(["TCP", "TLS"])("over %s is not read further while 8 requests are unanswered", async (wire) => {
    const begun = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<object>();
    await using hanging = await serve({
      ...(wire === "TLS" && { tls: disk.tls }),
      handlers: {
        lookup: () => {
          begun.resolve();
          return finish.promise;
        },
      },
    });
    using client = await RawClient.open(hanging.port, { ca: wire === "TLS" ? disk.ca : undefined });
    // More than all buffers between client and server can hold. A single read by the server returns hundreds of them.
    const MANY = 100_000;

    client.send(postOf(LOOKUP, "{}").repeat(MANY));
    await begun.promise;
    // Answers on other connections show that the server has had time to read more of the first one.
    for (let count = 0; count < 20; count++) {
      using other = await RawClient.open(hanging.port, { ca: wire === "TLS" ? disk.ca : undefined });
      await other.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").all();
    }

    expect(hanging.started.length).toBeLessThan(100);
    expect(client.socket.writableLength).toBeGreaterThan(0);
  });

  test("whose client leaves has its calls cancelled", async () => {
    await using hanging = await serve({ handlers: { lookup: () => new Promise(() => {}) } });
    using client = await RawClient.open(hanging.port);
    client.send(postOf(LOOKUP, "{}").repeat(7));
    await eventually(() => expect(hanging.started).toHaveLength(7));

    client.socket.destroy();

    await eventually(() => expect(hanging.ended).toHaveLength(7));
    expect(hanging.ended.every(({ code }) => code === Code.Canceled)).toBe(true);
    expect(hanging.server.calls.inFlight).toBe(0);
  });

  test("whose client leaves while the server does not read ends by the deadline of its calls", async () => {
    await using hanging = await serve({ handlers: { lookup: () => new Promise(() => {}) } });
    using client = await RawClient.open(hanging.port);
    client.send(postOf(LOOKUP, "{}", "Connect-Timeout-Ms: 200\r\n").repeat(20));
    await eventually(() => expect(hanging.started).toHaveLength(20));

    client.socket.destroy();

    await eventually(() => expect(hanging.ended).toHaveLength(20));
    await eventually(() => expect(hanging.server.calls.inFlight).toBe(0));
  });

  test("may mix refusals, plain requests and calls", async () => {
    using client = await open();

    client.send(postOf(LOOKUP, '{"vin":"1"}') + GET_PING + postOf("/nothing", "") + postOf(LOOKUP, '{"vin":"2"}'));
    const answer = await client.until(/"2"/);

    expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(["200", "200", "404", "200"]);
  });

  test("is read no further while many answers wait for the first one, and loses none", async () => {
    const first = Promise.withResolvers<void>();
    await using slow = await serve({
      plain: {
        "GET /first": {
          answer: async (exchange) => {
            await first.promise;
            answerText(exchange, 200, "first");
          },
        },
        "GET /large": { answer: (exchange) => answerText(exchange, 200, "x".repeat(100_000)) },
        ...PING,
      },
    });
    using client = await RawClient.open(slow.port);
    const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\nX-Pad: ${"x".repeat(900)}\r\n\r\n`;

    client.send(get("/first") + get("/large") + get("/ping").repeat(20));
    await eventually(async () => expect((await fetch(`http://${slow.address}/ping`)).status).toBe(200));
    first.resolve();
    const answer = await client.until((text) => countOf(text, /pong/g) === 20);

    expect(answer.indexOf("first")).toBeLessThan(answer.indexOf("xxx"));
    expect(countOf(answer, /HTTP\/1\.1 200/g)).toBe(22);
  });

  test("that becomes malformed after a long answer is read no further", async () => {
    const begun: Exchange[] = [];
    await using long = await serve({
      plain: {
        "GET /long": {
          answer: (exchange) => {
            begun.push(exchange);
            answerText(exchange, 200, "x".repeat(5_000_000));
          },
        },
      },
    });
    using client = await RawClient.open(long.port, { isDeaf: true });
    const get = "GET /long HTTP/1.1\r\nHost: a\r\n\r\n";

    client.send(`${get}${get}garbage\r\n\r\n${"x".repeat(3_000)}`);

    await eventually(() => expect(begun.map(({ isClosed }) => isClosed)).not.toContain(false));
    expect((await fetch(`http://${long.address}/none`)).status).toBe(404);
  });

  test("of requests that are refused at once lets the server serve other connections in between", async () => {
    let inTurn = 0;
    let most = 0;
    await using counting = await serve({
      isOwnHost: () => {
        inTurn++;
        most = Math.max(most, inTurn);
        return true;
      },
    });
    using client = await RawClient.open(counting.port);
    const MANY = 1_500;
    const endTurn = (): void => {
      inTurn = 0;
      looking = setImmediate(endTurn);
    };
    let looking = setImmediate(endTurn);

    client.send("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n".repeat(MANY));
    await client.until((text) => countOf(text, /HTTP\/1\.1 404/g) === MANY);
    clearImmediate(looking);

    expect(most).toBeLessThan(100);
  });
});

describe("a client that closes its side", () => {
  test("after a request counts as gone, and its call is cancelled", async () => {
    await using hanging = await serve({ handlers: { lookup: () => new Promise(() => {}) } });
    using client = await RawClient.open(hanging.port, { staysOpen: true });

    client.socket.end(postOf(LOOKUP, "{}"));
    await client.ended;

    await eventually(() => expect(hanging.ended).toHaveLength(1));
    expect(hanging.server.calls.inFlight).toBe(0);
  });

  test("during a request gets no answer", async () => {
    using client = await open();

    client.socket.end("GET / HTTP/1.1\r\nHost:");

    expect(await client.all()).toMatch(/^(HTTP\/1\.1 400 Bad Request|$)/);
  });
});

describe("a path", () => {
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
  ])("written as %s reaches no RPC", async (path, status) => {
    using client = await open();

    client.send(postOf(path, '{"vin":"V"}'));
    const answer = await client.until(/\r\n\r\n/);

    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(removed).toEqual([]);
  });
});

describe("the Host header", () => {
  test.each(["a b", "[", "a:b:c", "", "a\r\nHost: b"])("%j is refused", async (host) => {
    const answer = await answerTo(`GET /ping HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

    expect(answer).toMatch(/^HTTP\/1\.1 400 .*The request has no valid Host header\.\n$/s);
  });

  test("is required, and the refusal has the request id", async () => {
    const answer = await answerTo("GET /ping HTTP/1.1\r\nX-Request-Id: mine\r\n\r\n");

    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toMatch(/\r\nx-request-id: mine\r\n/);
    expect(answer).toMatch(/\r\nconnection: close\r\n/i);
  });
});

test("an unknown expectation is ignored", async () => {
  using client = await open();

  const answer = await client.send("GET /ping HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n").until(/pong/);

  expect(answer).toMatch(/^HTTP\/1\.1 200 OK/);
});
