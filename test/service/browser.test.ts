import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { digestOf } from "../../src/access/token.ts";
import { connectBrowser } from "../support/shared.ts";
import { manyVins } from "../support/real-vins.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const [VIN = ""] = manyVins(1);

let app: TestApp;
let browser: Browser;

beforeAll(async () => {
  app = await startTestApp();
  browser = await connectBrowser();
});

afterAll(async () => {
  await browser.close();
  await app[Symbol.asyncDispose]();
});

test("the service's own page shows a vehicle", async () => {
  const page = await browser.newPage();
  await page.goto(`http://${app.httpAddress}/`);

  await page.fill("[name=vin]", VIN);
  await page.click("button");
  await page.waitForSelector("dd");

  expect(await page.innerText("dl")).toMatch(/Make\s+PETERBILT/);
});

test("the page asks for a token when one is needed", async () => {
  await using directory = await temporaryDirectory();
  const tokens = join(directory.path, "tokens");
  await writeFile(tokens, `reader ${digestOf("vs_reader")} lookup\n`);
  await using guarded = await startTestApp({ env: { AUTH_TOKENS_FILE: tokens } });
  const page = await browser.newPage();
  await page.goto(`http://${guarded.httpAddress}/`);
  const asksAtFirst = await page.isVisible("[name=token]");

  await page.fill("[name=vin]", VIN);
  await page.click("button");
  await page.waitForSelector("[name=token]");
  await page.fill("[name=token]", "vs_reader");
  await page.click("button");
  await page.waitForSelector("dd");

  expect([asksAtFirst, await page.innerText("[role=alert]")]).toEqual([false, ""]);
  expect(await page.innerText("dl")).toMatch(/Make\s+PETERBILT/);
});
