import { fileURLToPath } from "node:url";
import chromium from "@sparticuz/chromium";
import type { BrowserServer } from "playwright-core";
import { chromium as playwright } from "playwright-core";
import { build } from "vite";

/** Default flags that are left out. With them, Chromium would end with the first closed page, and ignore origins. */
const UNWANTED = new Set([
  "--single-process",
  "--disable-web-security",
  "--allow-running-insecure-content",
  "--disable-site-isolation-trials",
  "--disable-features=AudioServiceOutOfProcess,IsolateOrigins,site-per-process",
]);

/** A name that the browser resolves to this machine, as in DNS rebinding. */
export const REBOUND_HOST = "evil.example";

/** A real Chromium without a window, to connect to. */
export async function launchBrowserServer(): Promise<BrowserServer> {
  const usual = chromium.args.filter((arg) => !UNWANTED.has(arg));
  return playwright.launchServer({
    host: "127.0.0.1",
    executablePath: await chromium.executablePath(),
    args: [
      ...usual,
      "--no-sandbox",
      "--disable-background-networking",
      "--disable-component-update",
      `--host-resolver-rules=MAP ${REBOUND_HOST} 127.0.0.1`,
    ],
    headless: true,
  });
}

/** Bundles a module of this folder for the browser, where its exports are members of the global `name`. */
export async function bundleForBrowser(entry: string, name: string): Promise<string> {
  const output = await build({
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      minify: false,
      lib: { entry: fileURLToPath(new URL(entry, import.meta.url)), formats: ["iife"], name },
    },
  });
  const chunks = [output].flat().flatMap((built) => ("output" in built ? built.output[0].code : []));
  return chunks.join("\n");
}
