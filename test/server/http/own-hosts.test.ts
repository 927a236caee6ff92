import { once } from "node:events";
import { IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ownHosts } from "../../../src/access/listen-safety.ts";
import type { RunningListener } from "../../../src/server/running-listener.ts";
import { startHttpServer } from "../../../src/server/http/http-server.ts";
import { MemoryLogger } from "../../support/memory-logger.ts";

let server: RunningListener;

beforeAll(async () => {
  server = await startHttpServer({
    host: "127.0.0.1",
    port: 0,
    services: [],
    interceptors: [],
    handlers: {
      "GET /": (_request, response) => void response.end("mine"),
      "GET /healthz": (_request, response) => void response.end("ok"),
    },
    isOwnHost: ownHosts({ host: "127.0.0.1", hasTokens: false, allowAnonymous: false }, false),
    logger: new MemoryLogger(),
  });
});

afterAll(() => server[Symbol.asyncDispose]());

async function get(host: string, path = "/"): Promise<[number | undefined, string]> {
  const sent = request(`http://${server.address}${path}`, { headers: { host }, agent: false }).end();
  const [response]: unknown[] = await once(sent, "response");
  if (!(response instanceof IncomingMessage)) {
    throw new TypeError("no response");
  }
  return [response.statusCode, await text(response)];
}

test.each([
  "127.0.0.1",
  "127.0.0.1:8080",
  "127.8.8.8",
  "localhost",
  "LOCALHOST:8080",
  "vehicles.localhost:8080",
  "[::1]",
  "[::1]:8080",
  "[::ffff:127.0.0.1]",
])("a request for %s is answered", async (host) => {
  expect(await get(host)).toEqual([200, "mine"]);
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
])("a request for %s is misdirected, unless it is a probe", async (host) => {
  expect(await get(host)).toEqual([421, expect.stringContaining("loopback")]);
  expect(await get(host, "/healthz?verbose")).toEqual([200, "ok"]);
});

test("a Host header that is none is still a bad request", async () => {
  expect(await get("a b")).toEqual([400, expect.any(String)]);
});
