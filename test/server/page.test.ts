import { createHash } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { createPageHandler } from "../../src/server/page.ts";
import { plainRequest } from "../support/plain-request.ts";
import { serve } from "../support/serve.ts";

const server = await serve({ plain: { "GET /": createPageHandler() } });
afterAll(() => server[Symbol.asyncDispose]());

test("the page is HTML, and caches must revalidate it each time", async () => {
  const answer = await plainRequest(server.address, "GET", "/");

  expect(answer.status).toBe(200);
  expect(answer.headers).toMatchObject({
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-cache",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    vary: "accept-encoding",
  });
});

test("the page may run its own script and style, call its own service, and nothing else", async () => {
  const { headers, body } = await plainRequest(server.address, "GET", "/");
  const digest = (tag: string): string => {
    const [, text = ""] = new RegExp(`<${tag}>(.*?)</${tag}>`, "s").exec(body) ?? [];
    return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  };

  expect(String(headers["content-security-policy"]).split("; ")).toEqual([
    "default-src 'none'",
    `style-src ${digest("style")}`,
    `script-src ${digest("script")}`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ]);
});

test("a browser that already has the page gets a 304 without a body", async () => {
  const first = await plainRequest(server.address, "GET", "/");
  const second = await plainRequest(server.address, "GET", "/", { "if-none-match": String(first.headers.etag) });
  const other = await plainRequest(server.address, "GET", "/", { "if-none-match": '"another"' });

  expect([second.status, second.body]).toEqual([304, ""]);
  expect(other.status).toBe(200);
});

test("the page is compressed for clients that accept gzip, to less than 120 KB", async () => {
  const plain = await plainRequest(server.address, "GET", "/");
  const answer = await fetch(`http://${server.address}/`, { headers: { "accept-encoding": "br, gzip" } });
  const refused = await plainRequest(server.address, "GET", "/", { "accept-encoding": "gzip;q=0" });

  expect(answer.headers.get("content-encoding")).toBe("gzip");
  expect(Number(answer.headers.get("content-length"))).toBeLessThan(120_000);
  expect(await answer.text()).toBe(plain.body);
  expect(refused.headers["content-encoding"]).toBeUndefined();
});
