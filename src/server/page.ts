import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { answerBytes } from "./exchange.ts";
import type { PlainHandler } from "./plain-call.ts";

/** The bundle of src/page, which `npm run generate` writes. */
const BUNDLE = new URL("../../gen/page/", import.meta.url);
/** Weights of encodings are ignored except for 0, because every browser sends gzip without a weight. */
const ACCEPTS_GZIP = /\bgzip\b(?!\s*;\s*q=0(?:\.0+)?\b)/;
const ICON =
  "data:image/svg+xml," +
  encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#0d6173"/>` +
      `<path d="M4 4.5l4 7 4-7" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>`,
  );

/**
 * Serves the page at `/`. It is one document that contains its script and style, so that a browser never mixes two
 * versions. The security policy allows this script, this style and calls to the service, and nothing else.
 */
export function createPageHandler(): PlainHandler {
  const { html, securityPolicy } = renderPage();
  const etag = `"${createHash("sha256").update(html).digest("base64url")}"`;
  const packed = gzipSync(html, { level: 9 });
  const headers = {
    etag,
    vary: "accept-encoding",
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": securityPolicy,
    "cache-control": "no-cache",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  };
  return {
    answer(exchange) {
      const { "if-none-match": known, "accept-encoding": accepted } = exchange.headers;
      if (known?.includes(etag) === true) {
        answerBytes(exchange, 304, headers, "");
      } else if (ACCEPTS_GZIP.test(String(accepted))) {
        answerBytes(exchange, 200, { ...headers, "content-encoding": "gzip" }, packed);
      } else {
        answerBytes(exchange, 200, headers, html);
      }
    },
  };
}

function renderPage(): { html: string; securityPolicy: string } {
  const script = readFileSync(new URL("page.js", BUNDLE), "utf8");
  const style = readFileSync(new URL("page.css", BUNDLE), "utf8");
  if (/<\/script|<!--/i.test(script) || /<\/style/i.test(style)) {
    throw new Error("the bundled page has text that would end its own element; see gen/page");
  }
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>VehicleService</title>
<link rel="icon" href="${ICON}">
<style>${style}</style>
</head>
<body>
<div id="page"></div>
<noscript>This page needs JavaScript. Every call of the service also works without it, for example with curl.</noscript>
<script>${script}</script>
</body>
</html>
`;
  const securityPolicy = [
    "default-src 'none'",
    `style-src '${digestOf(style)}'`,
    `script-src '${digestOf(script)}'`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
  return { html, securityPolicy };
}

function digestOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
