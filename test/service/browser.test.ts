import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchBrowser } from "../support/browser.ts";
import { manyVins } from "../support/real-vins.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";

const [VIN = ""] = manyVins(1);

let app: TestApp;
let browser: Browser;

beforeAll(async () => {
  app = await startTestApp();
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser.close();
  await app[Symbol.asyncDispose]();
});

test("the service's own page shows a vehicle", async () => {
  const page = await browser.newPage();
  await page.goto(`http://${app.httpAddress}/`);

  await page.fill("input", VIN);
  await page.click("button");
  await page.waitForSelector("dd");

  expect(await page.innerText("dl")).toMatch(/Make\s+PETERBILT/);
});
