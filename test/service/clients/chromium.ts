import type { JsonValue } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import type { Browser, Page } from "playwright-core";
import type { BrowserCall, BrowserOutcome } from "../../support/browser-client.ts";
import { bundleForBrowser } from "../../support/browser.ts";
import type { ClientKind } from "./client.ts";
import { urlOf } from "./client.ts";

/** The same for all pages. */
let bundle: Promise<string> | undefined;

/**
 * Connect-Web in Chromium, on the service's own page, with one of its protocols. It compresses nothing by itself.
 * Chromium uses HTTP/2 only with TLS.
 */
export function chromium(protocol: BrowserCall["protocol"], browser: () => Browser): ClientKind {
  let lastId = 0;
  return {
    name: `Chromium, ${protocol}`,
    sendsGzip: false,
    // Over Connect, the browser decompresses answers. Over gRPC-Web, Connect-Web would have to.
    takesGzip: protocol === "Connect",
    async open(target) {
      const baseUrl = urlOf(target);
      // Chromium does not know the authority.
      const page = await browser().newPage({ ignoreHTTPSErrors: target.authority !== undefined });
      await page.goto(baseUrl);
      bundle ??= bundleForBrowser("browser-client.ts", "browserClient");
      await page.evaluate(`${await bundle}; globalThis.browserClient = browserClient;`);
      return {
        call(method, request, { timeoutMs, signal } = {}) {
          const id = lastId++;
          signal?.addEventListener("abort", () => {
            // It ends with the page at the latest.
            page.evaluate(`browserClient.cancel(${id})`).catch(() => {});
          });
          return call(page, { id, baseUrl, protocol, method, request, timeoutMs });
        },
        [Symbol.asyncDispose]: () => page.close(),
      };
    },
  };
}

async function call(page: Page, words: BrowserCall): Promise<JsonValue[]> {
  const outcome: BrowserOutcome = await page.evaluate(`browserClient.call(${JSON.stringify(words)})`);
  if ("messages" in outcome) {
    return outcome.messages;
  }
  const error = new ConnectError(outcome.message, outcome.code);
  error.details = outcome.details.map(({ type, value }) => ({ type, value: Buffer.from(value, "base64") }));
  throw error;
}
