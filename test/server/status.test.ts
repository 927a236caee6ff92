import { afterAll, expect, test } from "vitest";
import { AccessGuard } from "../../src/access/access-guard.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";
import { createStatusHandler } from "../../src/server/status.ts";
import { serve } from "../support/serve.ts";
import { bearer, someTokens, TOKENS_NOW } from "../support/some-tokens.ts";

let counted = 0;
const parts = {
  version: "1.2.3",
  sources: ["vpic", "snapshot"],
  snapshot: () => ({ state: "unavailable", reason: "/secret/path" }),
  isEmbedded: true,
  workers: 2,
  cache: async () => ({ entries: [], bytes: counted++ }),
};

function guardWith(tokens: typeof someTokens | undefined): AccessGuard {
  const limiter = (): RateLimiter => new RateLimiter({ perSecond: 1, burst: 100 });
  return new AccessGuard({ tokens, limiter: limiter(), anonymous: limiter(), now: () => TOKENS_NOW });
}

const server = await serve({
  plain: {
    "GET /status": createStatusHandler({ ...parts, guard: guardWith(undefined) }),
    "GET /guarded": createStatusHandler({ ...parts, guard: guardWith(someTokens) }),
  },
});
afterAll(() => server[Symbol.asyncDispose]());

async function get(path: string, headers: Record<string, string> = {}): Promise<Record<string, unknown>> {
  const response = await fetch(`http://${server.address}${path}`, { headers });
  const status: Record<string, unknown> = JSON.parse(await response.text());
  return status;
}

test("without tokens, everyone may do everything", async () => {
  const status = await get("/status");

  expect(status).toEqual({
    version: "1.2.3",
    workers: 2,
    sources: ["vpic", "snapshot"],
    snapshot: { state: "unavailable", isEmbedded: true },
    access: { caller: "127.0.0.1", scopes: ["lookup", "remove", "export"] },
    cache: { entries: [], bytes: expect.any(Number) },
  });
});

test.each([
  ["no token", {}, { refusal: "TOKEN_MISSING", scopes: [] }],
  ["an expired token", bearer("expired"), { refusal: "TOKEN_UNKNOWN", scopes: [] }],
  ["a token", bearer("remove"), { caller: "remove", scopes: ["remove"] }],
])("with %s, the status says what the caller may do", async (_, headers, access) => {
  const status = await get("/guarded", { ...headers });

  expect(status["access"]).toEqual(access);
});

test("many requests count the cache once", async () => {
  const first = await get("/status");
  const second = await get("/status");

  expect(second["cache"]).toEqual(first["cache"]);
});
