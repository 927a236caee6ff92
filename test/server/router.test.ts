import { constants } from "node:http2";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { createHostCheck } from "../../src/access/listen-safety.ts";
import { answerText } from "../../src/server/exchange.ts";
import type { PlainHandler } from "../../src/server/plain-call.ts";
import { Http2Client } from "../support/http2-client.ts";
import { plainRequest } from "../support/plain-request.ts";
import { RawClient } from "../support/raw-client.ts";
import { BATCH, LOOKUP, REFLECTION, serve } from "../support/serve.ts";

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
    ["GET", "/nothing"],
    ["POST", "/vehicle.v1.VehicleService/Nothing"],
  ])("%s of %s gets a 404 that says where RPCs are", async (method, path) => {
    const answer = await ask(version, method, path, { "content-type": "application/json" });

    expect([answer.status, answer.body]).toEqual([404, "Not found. RPCs are at /package.Service/Method.\n"]);
  });

  test.each(["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])(
    "%s of a plain route gets an error that names the allowed methods",
    async (method) => {
      const answer = await ask(version, method, "/healthz");

      expect([answer.status, answer.body, answer.headers.allow]).toEqual([405, "Use GET or HEAD.\n", "GET, HEAD"]);
    },
  );

  test.each([
    ["PUT", LOOKUP, "POST, GET"],
    ["GET", "/vehicle.v1.VehicleService/Remove", "POST"],
    ["GET", BATCH, "POST"],
    ["DELETE", BATCH, "POST"],
    ["HEAD", LOOKUP, "POST, GET"],
  ])("%s of %s gets an error that says that it is an RPC and names the methods", async (method, path, allow) => {
    const answer = await ask(version, method, path);

    expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
    expect(answer.body).toBe(method === "HEAD" ? "" : `This is an RPC: use ${allow}.\n`);
  });

  test.each([
    [LOOKUP, "application/json, application/proto, application/grpc-web+proto, application/grpc-web+json"],
    [
      BATCH,
      "application/connect+json, application/connect+proto, application/grpc-web+proto, application/grpc-web+json",
    ],
  ])("another content type for %s gets an error that names the supported ones", async (path, types) => {
    const answer = await ask(version, "POST", path, { "content-type": "text/html" });

    expect([answer.status, answer.headers["accept-post"]]).toEqual([415, types]);
    expect(answer.body).toBe(`This content type is not supported. Use one of ${types}.\n`);
  });

  test.each([
    ["an unknown path", "GET", "/nothing", 404],
    ["a method that is not allowed", "POST", "/healthz", 405],
    ["a content type that is not supported", "POST", LOOKUP, 415],
    ["a plain route", "GET", "/healthz", 200],
    ["a failure", "GET", "/broken", 500],
  ])("every answer has the request's id: %s", async (_what, method, path, status) => {
    const named = await ask(version, method, path, { "x-request-id": "mine" });
    const unnamed = await ask(version, method, path, { "x-request-id": "not a word" });

    expect([named.status, named.headers["x-request-id"]]).toEqual([status, "mine"]);
    expect(unnamed.headers["x-request-id"]).toMatch(/^[\da-f-]{36}$/);
  });

  test.each(["/broken", "/thrown"])(
    "the answer of a route that fails does not show the cause, and the log does: %s",
    async (path) => {
      const answer = await ask(version, "GET", path, { "x-request-id": "mine" });

      expect([answer.status, answer.body]).toEqual([500, "Internal error. Quote request id mine when reporting it.\n"]);
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
  test.each([
    "localhost",
    "127.8.8.8:8080",
    "LOCALHOST",
    "vehicles.localhost:8080",
    "[::1]:8080",
    "[::ffff:127.0.0.1]",
  ])("for %s is answered", async (host) => {
    expect(await ask("1.1", "GET", "/", { host })).toMatchObject({ status: 200 });
    expect(await ask("2", "GET", "/", { ":authority": host })).toMatchObject({ status: 200 });
  });

  test.each([
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "notlocalhost",
    "192.0.2.1",
    "0.0.0.0",
    "[::]",
    "[2001:db8::1]:8080",
  ])("for %s gets a 421, unless it is a probe", async (host) => {
    const misdirected = { status: 421, body: expect.stringContaining("loopback") };

    expect(await ask("1.1", "GET", "/", { host })).toMatchObject(misdirected);
    expect(await ask("2", "GET", "/", { ":authority": host })).toMatchObject(misdirected);
    expect(await ask("1.1", "POST", LOOKUP, { host, "content-type": "application/json" })).toMatchObject(misdirected);
    expect(await ask("1.1", "GET", "/healthz?verbose", { host })).toMatchObject({ status: 200, body: "ok\n" });
  });
});
