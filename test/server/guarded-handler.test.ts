import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AccessGuard } from "../../src/access/access-guard.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";
import { guarded } from "../../src/server/guarded-handler.ts";
import type { HttpServer } from "../../src/server/http-server.ts";
import { startHttpServer } from "../../src/server/http-server.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { bearer, someTokens, TOKENS_NOW } from "../support/some-tokens.ts";

const BURST = 2;

let server: HttpServer;
let logger: MemoryLogger;

beforeEach(async () => {
  logger = new MemoryLogger();
  const limiter = new RateLimiter({ perSecond: 0.5, burst: BURST, now: () => 0 });
  const guard = new AccessGuard({ tokens: someTokens, limiter, now: () => TOKENS_NOW });
  server = await startHttpServer({
    host: "127.0.0.1",
    port: 0,
    services: [],
    interceptors: [],
    logger,
    handlers: {
      "GET /file": guarded({ guard, scope: "export", action: "Export", logger }, (_request, response, caller) => {
        response.end(`for ${caller.name}`);
      }),
    },
  });
});

afterEach(() => server[Symbol.asyncDispose]());

async function get(headers: Readonly<Record<string, string>>): Promise<Response> {
  return await fetch(`http://${server.address}/file`, { headers });
}

test("a token with the scope gets the file, and leaves an audit line", async () => {
  const response = await get({ ...bearer("export"), "x-request-id": "r-1" });

  expect([response.status, await response.text()]).toEqual([200, "for export"]);
  expect(response.headers.get("x-request-id")).toBe("r-1");
  await vi.waitFor(() =>
    expect(logger.lines).toEqual([
      {
        level: "info",
        message: "audit",
        fields: { action: "Export", caller: "export", requestId: "r-1", code: "ok" },
      },
    ]),
  );
});

test.each([
  ["no token", {}, 401, "a token is needed"],
  ["an unknown token", bearer("nobody"), 401, "the token is unknown"],
  ["an expired token", bearer("expired"), 401, "the token is unknown or has expired"],
])("%s gets 401 and leaves no audit line", async (_case, headers, status, text) => {
  const response = await get(headers);

  expect([response.status, await response.text()]).toEqual([status, expect.stringContaining(text)]);
  expect(response.headers.get("www-authenticate")).toBe("Bearer");
  expect(logger.lines).toEqual([]);
});

test("a token without the scope gets 403, and leaves an audit line", async () => {
  const response = await get(bearer("lookup"));

  expect([response.status, await response.text()]).toEqual([403, expect.stringContaining('"export"')]);
  expect(logger.lines).toMatchObject([{ message: "audit", fields: { caller: "lookup", code: "PermissionDenied" } }]);
});

test("a token beyond its rate gets 429 and when to come again", async () => {
  for (let i = 0; i < BURST; i++) {
    await get(bearer("export"));
  }

  const response = await get(bearer("export"));

  expect([response.status, response.headers.get("retry-after")]).toEqual([429, "2"]);
});
