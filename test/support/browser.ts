import { fileURLToPath } from "node:url";
import chromium from "@sparticuz/chromium";
import type { Browser } from "playwright-core";
import { chromium as playwright } from "playwright-core";
import { build } from "vite";

/** A real Chromium without a window. */
export async function launchBrowser(): Promise<Browser> {
  return playwright.launch({
    executablePath: await chromium.executablePath(),
    args: [...chromium.args, "--no-sandbox", "--disable-background-networking", "--disable-component-update"],
    headless: true,
  });
}

/** Bundles a module of this folder for the browser. Its exports are those of the global `name` there. */
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
