import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPageHandler } from "../../src/server/page.ts";
import { plainRequest } from "../support/plain-request.ts";
import type { Served } from "../support/serve.ts";
import { serve } from "../support/serve.ts";

let about = "data of NHTSA";
let server: Served;

beforeAll(async () => {
  server = await serve({ plain: { "GET /": createPageHandler(() => about) } });
});
afterAll(() => server[Symbol.asyncDispose]());

test("the page is HTML that caches revalidate each time", async () => {
  const answer = await plainRequest(server.address, "GET", "/");

  expect(answer.status).toBe(200);
  expect(answer.headers).toMatchObject({
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-cache",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
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
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]);
});

test("the foot of the page says where the data comes from, as text", async () => {
  about = `<script>alert("1")</script> & 'more'`;

  const { body } = await plainRequest(server.address, "GET", "/");

  expect(body).toContain("<footer>&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62; &#38; &#39;more&#39;</footer>");
});
