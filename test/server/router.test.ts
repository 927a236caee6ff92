import { constants } from "node:http2";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { createHostCheck } from "../../src/access/listen-safety.ts";
import { answerText } from "../../src/server/exchange.ts";
import type { PlainHandler } from "../../src/server/plain-call.ts";
import { Http2Client } from "../support/http2-client.ts";
import { plainRequest } from "../support/plain-request.ts";
import { RawClient } from "../support/raw-client.ts";
import { BATCH, LOOKUP, REFLECTION, REMOVE, serve } from "../support/serve.ts";

const ok: PlainHandler = { answer: (exchange) => answerText(exchange, 200, "ok") };
const secret = new Error("secret");

const server = await serve({
  handlers: { lookup: ({ vin }) => ({ vin }) },
  plain: {
    "GET /": ok,
    "GET /healthz": ok,
    "GET /broken": { answer: () => Promise.reject(secret) },
    "GET /thrown": {
      answer: () => {
        throw secret;
      },
    },
    "GET /half": {
      answer: async (exchange) => {
        exchange.writeHead(200, {});
        exchange.response.write("half");
        throw secret;
      },
    },
    "GET /slow": { maxMs: 50, answer: () => new Promise(() => {}) },
  },
  isOwnHost: createHostCheck({ host: "127.0.0.1", hasTokens: false, allowAnonymous: false }, false),
  connections: { maxNewPerAddress: Infinity, maxOpenPerAddress: Infinity },
});
afterAll(() => server[Symbol.asyncDispose]());

const log = server.logger.lines;
beforeEach(() => {
  log.length = 0;
});

const NOT_FOUND = "Not found. RPCs are at /package.Service/Method.\n";
const WEB_TYPES = "application/grpc-web+proto, application/grpc-web+json";
const UNARY_TYPES = `application/json, application/proto, ${WEB_TYPES}`;
const STREAM_TYPES = `application/connect+json, application/connect+proto, ${WEB_TYPES}`;

function useOneOf(types: string): string {
  return `This content type is not supported. Use one of ${types}.\n`;
}

/** Sends a request over a version of HTTP. */
async function ask(version: string, method: string, path: string, headers: Record<string, string> = {}) {
  if (version === "1.1") {
    return plainRequest(server.address, method, path, headers);
  }
  using client = new Http2Client(server.address);
  const answer = await client.request({ ":method": method, ":path": path, ...headers });
  return { ...answer, body: answer.body.toString() };
}

describe.each(["1.1", "2"])("over HTTP/%s", (version) => {
  test("plain routes are served with any query, and GET routes with HEAD too", async () => {
    const get = await ask(version, "GET", "/healthz?verbose");
    const head = await ask(version, "HEAD", "/healthz");

    expect([get.status, get.body]).toEqual([200, "ok\n"]);
    expect([head.status, head.body, head.headers["content-length"]]).toEqual([200, "", "3"]);
  });

  test.each([
    ["GET", "/nothing", 404, NOT_FOUND, {}],
    ["POST", "/vehicle.v1.VehicleService/Nothing", 404, NOT_FOUND, {}],
    ["POST", "/healthz", 405, "Use GET or HEAD.\n", { allow: "GET, HEAD" }],
    ["PUT", "/healthz", 405, "Use GET or HEAD.\n", { allow: "GET, HEAD" }],
    ["OPTIONS", "/healthz", 405, "Use GET or HEAD.\n", { allow: "GET, HEAD" }],
    ["PUT", LOOKUP, 405, "This is an RPC: use POST, GET.\n", { allow: "POST, GET" }],
    ["HEAD", LOOKUP, 405, "", { allow: "POST, GET" }],
    ["GET", REMOVE, 405, "This is an RPC: use POST.\n", { allow: "POST" }],
    ["GET", BATCH, 405, "This is an RPC: use POST.\n", { allow: "POST" }],
    ["DELETE", BATCH, 405, "This is an RPC: use POST.\n", { allow: "POST" }],
    ["POST", LOOKUP, 415, useOneOf(UNARY_TYPES), { "accept-post": UNARY_TYPES }],
    ["POST", BATCH, 415, useOneOf(STREAM_TYPES), { "accept-post": STREAM_TYPES }],
  ])("%s of %s gets a %i that says what to do, and the request's id", async (method, path, status, body, headers) => {
    const answer = await ask(version, method, path, { "content-type": "text/html", "x-request-id": "mine" });

    expect(answer).toMatchObject({ status, body, headers: { ...headers, "x-request-id": "mine" } });
  });

  test("an answer has the request's id, or else a new one", async () => {
    const named = await ask(version, "GET", "/healthz", { "x-request-id": "mine" });
    const unnamed = await ask(version, "GET", "/healthz", { "x-request-id": "not a word" });

    expect(named.headers["x-request-id"]).toBe("mine");
    expect(unnamed.headers["x-request-id"]).toMatch(/^[\da-f-]{36}$/);
  });

  test.each(["/broken", "/thrown"])(
    "the answer of a route that fails does not show the cause, and the log does: %s",
    async (path) => {
      const answer = await ask(version, "GET", path, { "x-request-id": "mine" });

      expect([answer.status, answer.headers["x-request-id"]]).toEqual([500, "mine"]);
      expect(answer.body).toBe("Internal error. Quote request id mine when reporting it.\n");
      expect(log).toMatchObject([{ level: "error", fields: { requestId: "mine", path, err: secret } }]);
    },
  );

  test("a route that takes too long is ended", async () => {
    const answer = await ask(version, "GET", "/slow");

    expect([answer.status, answer.body]).toEqual([504, "The answer took too long.\n"]);
  });
});

test("a route that fails half-way closes the connection over HTTP/1.1, and resets the stream over HTTP/2", async () => {
  using http1 = await RawClient.open(server.port);
  using http2 = new Http2Client(server.address);

  // On a connection that has been in use, the answer's end and its reset would be sent together.
  await http2.request({ ":path": "/healthz" });
  const answer = await http2.request({ ":path": "/half" });
  await http1.send("GET /half HTTP/1.1\r\nHost: localhost\r\n\r\n").closed;

  expect(http1.text).toMatch(/^HTTP\/1\.1 200 OK.*half\r\n$/s);
  expect(answer).toMatchObject({ status: 200, code: constants.NGHTTP2_CANCEL });
  expect(log).toMatchObject([secret, secret].map((err) => ({ level: "error", fields: { err } })));
});

test.each([
  ["gRPC", LOOKUP, "application/grpc+proto", 415, "gRPC needs HTTP/2. Over HTTP/1.1 use Connect or gRPC-Web.\n"],
  ["a client stream", REFLECTION, "application/connect+json", 505, "Client-streaming methods need HTTP/2.\n"],
])("%s over HTTP/1.1 gets an error that says to use HTTP/2", async (_what, path, type, status, body) => {
  expect(await ask("1.1", "POST", path, { "content-type": type })).toMatchObject({ status, body });
});

describe("without tokens and TLS, a request", () => {
  const ownNames = ["localhost", "LOCALHOST", "vehicles.localhost:8080"];
  const ownAddresses = ["127.8.8.8:8080", "[::1]:8080", "[::ffff:127.0.0.1]"];
  const otherNames = ["evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost"];
  const otherAddresses = ["192.0.2.1", "0.0.0.0", "[::]", "[2001:db8::1]:8080"];

  test.each([...ownNames, ...ownAddresses])("for %s is answered", async (host) => {
    expect(await ask("1.1", "GET", "/", { host })).toMatchObject({ status: 200 });
    expect(await ask("2", "GET", "/", { ":authority": host })).toMatchObject({ status: 200 });
  });

  test.each([...otherNames, ...otherAddresses])("for %s gets a 421, unless it is a probe", async (host) => {
    const misdirected = { status: 421, body: expect.stringContaining("loopback") };

    expect(await ask("1.1", "GET", "/", { host })).toMatchObject(misdirected);
    expect(await ask("2", "GET", "/", { ":authority": host })).toMatchObject(misdirected);
    expect(await ask("1.1", "POST", LOOKUP, { host, "content-type": "application/json" })).toMatchObject(misdirected);
    expect(await ask("1.1", "GET", "/healthz?verbose", { host })).toMatchObject({ status: 200, body: "ok\n" });
  });
});
